"""`make rehearse-containers`: the compose file on an engine, also where none answers and no image can be pulled."""
