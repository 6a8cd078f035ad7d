def normalise(r):
    return r
