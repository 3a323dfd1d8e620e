"""Where models come from: directories, config.pbtxt, versions, loading and unloading."""
