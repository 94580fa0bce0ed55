"""Files that hold tensors or documents, read in memory within fixed limits."""
