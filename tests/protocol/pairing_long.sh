#!/usr/bin/env bash
# The model of the pairing protocol (pairing.pml) in larger configurations than pairing_test.sh: more attempts, more
# cuts, more waits given up, a complete graph of four. About six minutes on one core, at most 6 GiB.
# shellcheck source=tests/script_fixture.bash
. "$(dirname "$0")/../script_fixture.bash"
# shellcheck source=tests/protocol/protocol.bash
. tests/protocol/protocol.bash
limit_s=${LIMIT_S:-1800} memory_mib=5900 optimization=-O2

have_spin || finish
holds two-many-attempts "WORKERS=2 ATTEMPTS=7 CUTS=2 TIME_LIMIT=ANY DEATHS=1"
holds two-many-stops "WORKERS=2 ATTEMPTS=5 CUTS=2 TIME_LIMIT=SILENT STOPS=2 DEATHS=1"
holds two-many-words "WORKERS=2 ATTEMPTS=7 CUTS=1 TIME_LIMIT=ANY DEATHS=1 KEEP_ALL_WORDS"
holds three-words "WORKERS=3 ATTEMPTS=1 CUTS=0 TIME_LIMIT=ANY KEEP_ALL_WORDS"
holds three-impatient-die "WORKERS=3 ATTEMPTS=1 CUTS=0 TIME_LIMIT=ANY DEATHS=1"
holds three-third-attempt "WORKERS=3 ATTEMPTS=3 CUTS=1 TIME_LIMIT=NEVER"
holds three-again "WORKERS=3 ATTEMPTS=2 CUTS=1 TIME_LIMIT=ANY GIVEN_UP_MAX=1"
holds three-given-up "WORKERS=3 ATTEMPTS=1 CUTS=1 TIME_LIMIT=ANY GIVEN_UP_MAX=3"
holds three-line-again "WORKERS=3 LINE ATTEMPTS=2 CUTS=1 TIME_LIMIT=ANY GIVEN_UP_MAX=3"
holds three-line-cuts "WORKERS=3 LINE ATTEMPTS=1 CUTS=2 TIME_LIMIT=ANY"
holds four-given-up "WORKERS=4 ATTEMPTS=1 CUTS=1 TIME_LIMIT=ANY GIVEN_UP_MAX=1"
holds four-cut-die "WORKERS=4 ATTEMPTS=1 CUTS=1 TIME_LIMIT=SILENT DEATHS=1"
holds four-line-stop "WORKERS=4 LINE ATTEMPTS=1 CUTS=1 TIME_LIMIT=SILENT STOPS=1"
holds four-complete "WORKERS=4 COMPLETE ATTEMPTS=1 CUTS=1 TIME_LIMIT=NEVER"
finish
