package engine

// ShardOf returns the shard that an id belongs to: what Kafka's default partitioner (murmur2 of the
// key, sign bit cleared, modulo partitions) gives, so that a producer that keys by lead id lands on
// the right partition with no help.
func ShardOf(id []byte, shards int32) int32 {
	return int32(murmur2(id)&0x7fffffff) % shards
}

// murmur2 is the 32-bit MurmurHash2 with the seed Kafka uses (org.apache.kafka.common.utils.Utils.murmur2).
func murmur2(b []byte) uint32 {
	const (
		seed uint32 = 0x9747b28c
		m    uint32 = 0x5bd1e995
	)
	h := seed ^ uint32(len(b))
	for len(b) >= 4 {
		k := uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16 | uint32(b[3])<<24
		b = b[4:]
		k *= m
		k ^= k >> 24
		k *= m
		h *= m
		h ^= k
	}
	switch len(b) {
	case 3:
		h ^= uint32(b[2]) << 16
		fallthrough
	case 2:
		h ^= uint32(b[1]) << 8
		fallthrough
	case 1:
		h ^= uint32(b[0])
		h *= m
	}
	h ^= h >> 13
	h *= m
	h ^= h >> 15
	return h
}
