#!/usr/bin/env bash
# Runs the packaged command line as a user would: version, machine information, and a generation when a model is at hand.
set -euo pipefail
cd "$(dirname "$0")/.."
jar=java/cli/target/lanes.jar
shared=${LANES_SHARED:-../shared}

java -jar "$jar" --version
java -jar "$jar" info
story=$(java -jar "$jar" generate --prompt "Once upon a time")
echo "$story"
[ "$(wc -w <<< "$story")" -gt 50 ] || { echo "the bundled model tells no story" >&2; exit 1; }

model=$shared/models/stories260K
if [ -d "$model" ]; then
  text=$(java -jar "$jar" generate --model "$model" --prompt "Once upon a time" --max-tokens 40)
  echo "$text"
  case "$text" in
    *"there was a little girl named Lily"*) ;;
    *) echo "unexpected text" >&2; exit 1 ;;
  esac
else
  echo "skipped: generation with a trained model ($shared is not here)"
fi
