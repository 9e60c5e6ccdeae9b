"""CoRL at full size: OpenRLHF trains, and the episodes are the bench's own.

`agent` is the file that OpenRLHF's rollout workers load; `job` says what it works with, `label`
what comes with each prompt, and `corrections` what is put right in OpenRLHF itself. Of these only
`agent` and `training`, which the workers and the driver of a job run, import OpenRLHF or Ray.
"""
