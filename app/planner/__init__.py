"""What a model takes on this machine, where its parts lie best, and how fast it will be.

Pure arithmetic: it reads no file, asks no device and starts no process; whoever calls it brings header and machine.
"""
