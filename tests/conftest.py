from hypothesis import settings

# no test asserts a time, and a run is the same on every machine
settings.register_profile("knotwork", deadline=None, derandomize=True)
settings.load_profile("knotwork")
