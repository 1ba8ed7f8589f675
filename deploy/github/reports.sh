#!/usr/bin/env bash
# Sends the reports of tests that match the globs in $REPORTS to the worker, several in one body. It fails no job: what could
# not be sent is a warning.
set -u
shopt -s nullglob
# The Bash of macOS has no `**`.
shopt -s globstar 2>/dev/null || true

if [ -z "$SENTINEL_API_KEY" ]; then
  echo "there is no key, as in a run of a fork: no report of tests is sent"
  exit 0
fi

limit_bytes=2097152
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
body=$work/body
answer=$work/answer
: >"$body"

# Percent-encodes the value of a query (RFC 3986, section 2.3).
encoded() {
  local LC_ALL=C text=$1 all='' at byte
  for ((at = 0; at < ${#text}; at++)); do
    byte=${text:at:1}
    case $byte in
      [A-Za-z0-9._~-]) all+=$byte ;;
      *) all+=$(printf '%%%02X' $(($(printf '%d' "'$byte") & 255))) ;;
    esac
  done
  printf '%s' "$all"
}

query="repository=$(encoded "$GITHUB_REPOSITORY")&run=$GITHUB_RUN_ID&attempt=${GITHUB_RUN_ATTEMPT:-1}&sha=$GITHUB_SHA"
query+="&job=$(encoded "$JOB")&branch=$(encoded "${GITHUB_HEAD_REF:-$GITHUB_REF_NAME}")"

send() {
  [ -s "$body" ] || return 0
  local status
  # The key is no argument, for any process of the machine sees those.
  status=$(printf 'header = "x-api-key: %s"\n' "$SENTINEL_API_KEY" | curl --config - --silent --show-error --max-time 60 \
    --retry 2 --output "$answer" --write-out '%{http_code}' --header 'content-type: application/xml' \
    --data-binary "@$body" "${SENTINEL_URL%/}/api/reports?$query") || status="no answer"
  case $status in
    2*) echo "sent reports with $(wc -c <"$body" | tr -d ' ') bytes" ;;
    *) echo "::warning title=Sentinel::reports of tests were not taken ($status): $(grep -o '"detail":"[^"]*"' "$answer" 2>/dev/null)" ;;
  esac
  : >"$body"
}

found=0
# shellcheck disable=SC2086 # a list of globs
for report in $REPORTS; do
  [ -f "$report" ] || continue
  found=$((found + 1))
  size=$(wc -c <"$report")
  if [ "$size" -ge "$limit_bytes" ]; then
    echo "::warning title=Sentinel::$report has 2 MiB or more and was not sent; have its runner leave out what tests print"
    continue
  fi
  if [ $(($(wc -c <"$body") + size + 1)) -gt "$limit_bytes" ]; then
    send
  fi
  cat "$report" >>"$body"
  echo >>"$body"
done
send
[ "$found" -gt 0 ] || echo "::warning title=Sentinel::no report of tests matches $REPORTS"
