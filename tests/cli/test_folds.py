"""The scores of a cross-validation, as people read them."""

from probe.cli.runs_table import fold_lines


def _fold(validation, test):
    return {
        "metric": "accuracy",
        "split": "test",
        "accuracy": test,
        "validation_accuracy": validation,
        "validation_loss_nats": 1.0,
    }


def test_each_fold_has_a_line_and_the_validation_its_mean_and_spread():
    metrics = {"folds": [_fold(0.5, 0.8), _fold(0.7, 0.6), _fold(0.6, 0.7)]}
    assert list(fold_lines(metrics, ["a@1", "b@1", "c@1"])) == [
        "fold 1: validation accuracy 0.500, test accuracy 0.800 (a@1)",
        "fold 2: validation accuracy 0.700, test accuracy 0.600 (b@1)",
        "fold 3: validation accuracy 0.600, test accuracy 0.700 (c@1)",
        "validation accuracy 0.600 ± 0.100 over 3 folds",
        "test accuracy 0.700 ± 0.100 over 3 folds",
    ]


def test_a_run_without_folds_has_no_such_lines():
    assert list(fold_lines({"accuracy": 0.5}, ["a@1"])) == []


def test_a_fold_without_scores_does_not_hinder_the_others():
    broken = _fold(None, 0.5)
    lines = list(fold_lines({"folds": [_fold(0.5, 0.8), broken]}, ["a@1", "b@1"]))
    assert lines[-1] == "test accuracy 0.650 ± 0.212 over 2 folds"
