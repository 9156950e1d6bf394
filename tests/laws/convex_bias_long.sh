#!/usr/bin/env bash
# The laws of convex_bias_test.c with 40 seeds instead of 5: exponents and their confidence. Two to four minutes.
set -euo pipefail
cd "$(dirname "$0")/../.."
exec "${BUILD:-build}/tests/laws/convex_bias_test" 40
