"""The suite that every adapter passes, whoever wrote it: a file for each behaviour.

`from conformance.suite import *` brings its tests into a module that has a fixture `harness`.
"""
