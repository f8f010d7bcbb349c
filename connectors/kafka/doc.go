// Package kafka connects the engine to Apache Kafka 2.8 or newer: it reads source topics, keeps the
// process's membership in the consumer group, writes epochs as transactions and reads them back.
//
// One Cluster holds what the four parts share: the checked configuration, one administrative client
// and the metrics. Each part has its own clients, because each needs other settings:
//
//	Cluster ── Group      a consumer-group member that fetches nothing: ownership of shards
//	        ├─ Inputs     a consumer without a group, at exact offsets, committed records only
//	        ├─ Committer  K transactional producers, used in turn
//	        └─ History    bounded reads with exact positions, offsets, cutting
//
// Reading is separate from membership so that no rebalance moves a position: the engine adds and
// removes partitions itself, at the offsets its journal names.
package kafka
