#!/usr/bin/env bash
# 64 virtual workers in one process: their cost per gradient over one worker's, the simulator's own share, memory.
exec "${PYTHON:-python3}" tests/bench/sim_bench.py
