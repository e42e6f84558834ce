#!/bin/sh
# Makes sure that a command is there, and installs Debian's package when it is not and root runs this on Debian:
#
#	tools/install.sh 'COMMAND…' PACKAGE [OPTION-OF-APT-GET…]
#
# Any one of the commands will do. Without a package it only says, by its status, whether there is one.
set -eu
commands=$1
shift
for command in $commands; do
	if PATH="$PATH:/usr/sbin" command -v "$command" >/dev/null; then exit; fi
done
[ $# -gt 0 ] || exit 1
install() { apt-get install -qq -y "$@" >/dev/null; }
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
	if install "$@" 2>/dev/null; then exit; fi
	if apt-get update -qq && install "$@"; then exit; fi
fi
echo "There is no ${commands%% *}: install it (on Debian it is the package $1)" >&2
exit 1
