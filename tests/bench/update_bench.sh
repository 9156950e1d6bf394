#!/usr/bin/env bash
# Fused passes over the vectors of a ResNet-18, two threads, beside a two-thread memcpy.
exec "${BUILD:-build}/tests/bench/update_bench"
