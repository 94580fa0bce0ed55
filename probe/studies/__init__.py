"""Many trainings: kept by content, packed K at once, in this process or on a Ray cluster.

    from probe.studies.cache import ResultCache
    from probe.studies.executor import Executor, sweep
    from probe.studies.sources import keyed
    from probe.studies.specs import RunSpec, StudySettings

    runs = keyed([RunSpec("builtin", "mood", config) for config in configs], StudySettings())
    cache = ResultCache(workspace.cache / "studies")
    sweep(runs, StudySettings(), cache, executor=Executor(ray="auto"), watch=print)
    prompts = [cache.get(run.key) for run in runs]    # each with its scores as `metrics`

A run's key is made of its configuration, its examples, the model's weights and the version, so a
finished run is never made again, by whichever study asks. Every run is finished when its prompt is
there, one file, written at once. `probe.studies.packs.work` is the function that trains a pack,
wherever that is.

A `Study` says what its runs are and what they come to; `wayward_study`, `sweep_study` and
`known_study` make one of what was asked. `probe.jobs` does studies in processes that others can
watch. Most of these modules need torch.
"""
