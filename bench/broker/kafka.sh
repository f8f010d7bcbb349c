#!/usr/bin/env bash
# One Apache Kafka node (broker and controller in one JVM) on the loopback address, for tests and benchmarks.
#
#   kafka.sh jars                          fill the jar cache and print where it is
#   kafka.sh run DIR PORT CONTROLLER_PORT  run until standard input ends, then kill the broker
#   kafka.sh up DIR PORT CONTROLLER_PORT   start in the background and wait until it answers
#   kafka.sh down DIR                      stop what "up" started; DIR stays
#
# DIR holds data, settings and log; a second start with the same DIR continues with its data.
# "run" prints one line, "ready ADDRESS PID", when the broker answers. A file DIR/discard makes it delete
# DIR at its end.
#
# Environment: KAFKA_VERSION (4.3.1); KAFKA_HEAP (-Xmx1g -Xms256m); KAFKA_EXTRA, a file of further
# server.properties lines.
set -euo pipefail

version=${KAFKA_VERSION:-4.3.1}
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
jars=${XDG_CACHE_HOME:-$HOME/.cache}/leadstream-kafka/$version

fail() {
	echo "kafka.sh: $*" >&2
	exit 1
}

usage() {
	sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p;}' "${BASH_SOURCE[0]}" >&2
	exit 2
}

need_java() {
	command -v java >/dev/null ||
		fail "java is missing: install a Java 17 or newer runtime (Debian, Ubuntu: apt-get install openjdk-17-jre-headless)"
}

# Several tests may want the jars at once: they are collected aside and moved into place whole.
fetch_jars() {
	[ -d "$jars" ] && return
	need_java
	command -v mvn >/dev/null ||
		fail "mvn is missing, and the jars of Kafka $version are not in $jars yet: install Maven once to fetch them (Debian, Ubuntu: apt-get install maven)"
	mkdir -p "$(dirname "$jars")"
	local part
	part=$(mktemp -d "$jars.part.XXXXXX")
	mvn -q -B -f "$here/pom.xml" "-Dkafka.version=$version" "-DoutputDirectory=$part" -DincludeScope=runtime \
		org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies >&2 || {
		rm -rf "$part"
		fail "fetching Kafka $version with Maven did not work"
	}
	mv -T "$part" "$jars" 2>/dev/null || rm -rf "$part"
}

settings() { # DIR PORT CONTROLLER_PORT
	cat <<-END
		process.roles=broker,controller
		node.id=1
		controller.quorum.voters=1@127.0.0.1:$3
		listeners=CLIENTS://127.0.0.1:$2,CONTROLLER://127.0.0.1:$3
		advertised.listeners=CLIENTS://127.0.0.1:$2
		listener.security.protocol.map=CLIENTS:PLAINTEXT,CONTROLLER:PLAINTEXT
		inter.broker.listener.name=CLIENTS
		controller.listener.names=CONTROLLER
		log.dirs=$1/data
		default.replication.factor=1
		min.insync.replicas=1
		offsets.topic.replication.factor=1
		offsets.topic.num.partitions=8
		transaction.state.log.replication.factor=1
		transaction.state.log.min.isr=1
		transaction.state.log.num.partitions=8
		share.coordinator.state.topic.replication.factor=1
		share.coordinator.state.topic.min.isr=1
		broker.session.timeout.ms=2000
		broker.heartbeat.interval.ms=500
		group.initial.rebalance.delay.ms=0
		group.min.session.timeout.ms=1000
		transaction.abort.timed.out.transaction.cleanup.interval.ms=1000
		log.segment.bytes=268435456
		message.max.bytes=16777216
		auto.create.topics.enable=false
		num.network.threads=2
		num.io.threads=4
		num.recovery.threads.per.data.dir=2
	END
	[ -z "${KAFKA_EXTRA:-}" ] || cat "$KAFKA_EXTRA"
}

# why prints what a Java program complained of, without the stack.
why() { # LOG
	grep -m 3 -E 'Exception|ERROR' "$1" || tail -n 3 "$1"
}

# start leaves the broker's process id in $pid.
start() { # DIR PORT CONTROLLER_PORT
	need_java
	fetch_jars
	mkdir -p "$1"
	local dir
	dir=$(cd "$1" && pwd)
	settings "$dir" "$2" "$3" >"$dir/server.properties"
	if [ ! -e "$dir/data/meta.properties" ]; then
		local id
		id=$(head -c 16 /dev/urandom | base64 | tr '+/' 'xy' | tr -d '=')
		java -XX:TieredStopAtLevel=1 -Dorg.slf4j.simpleLogger.defaultLogLevel=error -cp "$jars/*" \
			kafka.tools.StorageTool format -t "$id" -c "$dir/server.properties" >"$dir/format.log" 2>&1 ||
			fail "formatting $dir: $(why "$dir/format.log")"
	fi
	# shellcheck disable=SC2086
	setsid java ${KAFKA_HEAP:--Xmx1g -Xms256m} -XX:+UseG1GC -XX:MaxGCPauseMillis=20 -Djava.awt.headless=true \
		-Dorg.slf4j.simpleLogger.defaultLogLevel=warn -Dorg.slf4j.simpleLogger.showDateTime=true -cp "$jars/*" \
		kafka.Kafka "$dir/server.properties" >"$dir/kafka.log" 2>&1 </dev/null &
	pid=$!
	local try
	for ((try = 0; try < 600; try++)); do
		kill -0 "$pid" 2>/dev/null || fail "the broker ended while starting: $(why "$dir/kafka.log")"
		(exec 3<>"/dev/tcp/127.0.0.1/$2") 2>/dev/null && return
		sleep 0.1
	done
	kill -9 "$pid"
	fail "the broker did not answer within 60 s: $(why "$dir/kafka.log")"
}

pid=
case "${1:-}" in
jars)
	fetch_jars
	echo "$jars"
	;;
run)
	[ $# -eq 4 ] || usage
	home=$2
	trap '[ -z "$pid" ] || { kill -9 "$pid"; wait "$pid"; } 2>/dev/null || true; [ ! -e "$home/discard" ] || rm -rf "$home"' EXIT
	trap 'exit 0' INT TERM HUP
	start "$2" "$3" "$4"
	echo "ready 127.0.0.1:$3 $pid"
	while read -r _; do :; done
	;;
up)
	[ $# -eq 4 ] || usage
	[ ! -e "$2/kafka.pid" ] || fail "$2 is in use: kafka.sh down $2 first"
	start "$2" "$3" "$4"
	echo "$pid" >"$2/kafka.pid"
	echo "ready 127.0.0.1:$3 $pid"
	;;
down)
	[ $# -eq 2 ] || usage
	[ -e "$2/kafka.pid" ] || fail "nothing was started in $2"
	pid=$(cat "$2/kafka.pid")
	kill "$pid" 2>/dev/null || true
	for ((try = 0; try < 300; try++)); do
		kill -0 "$pid" 2>/dev/null || break
		sleep 0.1
	done
	kill -9 "$pid" 2>/dev/null || true
	rm -f "$2/kafka.pid"
	;;
*)
	usage
	;;
esac
