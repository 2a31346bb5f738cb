"""The programs that run inside a step: argv, environment and files in; exit code and files out.

Never sees the engine or a store. Started as `python -m pressplay.stages NAME`.
"""
