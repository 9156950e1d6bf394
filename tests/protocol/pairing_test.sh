#!/usr/bin/env bash
# The pairing protocol and its consistent cuts, as a model in all interleavings (pairing.pml): two, three and four
# workers, waits given up at any time, a stopped worker and a dying one; and mistakes in it, each of which is found.
#
#   pairing_test.sh       about a minute on one core, at most 2 GiB
#   pairing_long.sh       larger configurations: more attempts, more cuts, more time limits
# shellcheck source=tests/script_fixture.bash
. "$(dirname "$0")/../script_fixture.bash"
# shellcheck source=tests/protocol/protocol.bash
. tests/protocol/protocol.bash

names_agree
have_spin || finish
holds two-die "WORKERS=2 ATTEMPTS=4 CUTS=2 TIME_LIMIT=ANY DEATHS=1"
holds two-stop "WORKERS=2 ATTEMPTS=3 CUTS=2 TIME_LIMIT=SILENT STOPS=2 DEATHS=1"
holds two-words "WORKERS=2 ATTEMPTS=4 CUTS=0 TIME_LIMIT=ANY DEATHS=1 KEEP_ALL_WORDS"
holds three-patient "WORKERS=3 ATTEMPTS=2 CUTS=1 TIME_LIMIT=NEVER"
holds three-impatient "WORKERS=3 ATTEMPTS=1 CUTS=0 TIME_LIMIT=ANY"
holds three-ring-cut "WORKERS=3 ATTEMPTS=1 CUTS=1 TIME_LIMIT=ANY GIVEN_UP_MAX=1"
holds three-line-cut "WORKERS=3 LINE ATTEMPTS=1 CUTS=1 TIME_LIMIT=ANY"
holds three-die "WORKERS=3 ATTEMPTS=1 CUTS=1 TIME_LIMIT=SILENT DEATHS=1"
holds three-stop "WORKERS=3 ATTEMPTS=1 CUTS=1 TIME_LIMIT=SILENT STOPS=1"
holds three-one-record "WORKERS=3 RECORDS=1 ATTEMPTS=1 CUTS=1 TIME_LIMIT=ANY GIVEN_UP_MAX=1"
holds four-patient "WORKERS=4 ATTEMPTS=1 CUTS=1 TIME_LIMIT=NEVER"
holds four-die "WORKERS=4 ATTEMPTS=1 CUTS=0 TIME_LIMIT=SILENT DEATHS=1"
holds four-stop "WORKERS=4 ATTEMPTS=1 CUTS=0 TIME_LIMIT=SILENT STOPS=1"
holds four-line-die "WORKERS=4 LINE ATTEMPTS=1 CUTS=1 TIME_LIMIT=SILENT DEATHS=1"
holds four-directed "WORKERS=4 DIRECTED ATTEMPTS=1 CUTS=0 TIME_LIMIT=ANY GIVEN_UP_MAX=2"
every_mutant_fails
finish
