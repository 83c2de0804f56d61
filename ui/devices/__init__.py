"""Devices and builds: what computes here, what is wrong with it, and which engine build is used."""
