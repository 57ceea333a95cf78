# Sourced by mvnw and tercel: makes the first JDK of 25 or newer JAVA_HOME, or says in one line what to install.
# Looks at JAVA_HOME, the path, /usr/lib/jvm, macOS's folder and SDKMAN's.
tercel_jdk_major() {
  [ -x "$1/bin/javac" ] || { echo 0; return; }
  if [ -r "$1/release" ]; then
    sed -n 's/^JAVA_VERSION="\([0-9]*\).*/\1/p' "$1/release" | head -n 1
  else
    "$1/bin/javac" -version 2>&1 | sed -n 's/^javac \([0-9]*\).*/\1/p'
  fi
}

tercel_find_jdk() {
  tercel_on_path=$(command -v javac 2>/dev/null || true)
  if [ -n "$tercel_on_path" ]; then
    tercel_on_path=$(cd "$(dirname "$(readlink -f "$tercel_on_path" 2>/dev/null || echo "$tercel_on_path")")/.." && pwd)
  fi
  for tercel_dir in "${JAVA_HOME:-}" "$tercel_on_path" /usr/lib/jvm/* \
      /Library/Java/JavaVirtualMachines/*/Contents/Home "${SDKMAN_DIR:-${HOME:-}/.sdkman}"/candidates/java/*; do
    [ -n "$tercel_dir" ] || continue
    tercel_major=$(tercel_jdk_major "$tercel_dir")
    if [ "${tercel_major:-0}" -ge 25 ]; then
      JAVA_HOME=$tercel_dir
      export JAVA_HOME
      return 0
    fi
  done
  echo "Tercel needs a JDK of 25 or newer (set JAVA_HOME, or install one, e.g. Temurin 25 or 'sdk install java 25-tem')." >&2
  return 1
}

tercel_find_jdk || exit 1
