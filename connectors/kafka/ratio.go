package kafka

import "github.com/twmb/franz-go/pkg/kgo"

// ratios say how many times as large batches of each codec become, as most codecs do not say it: as those before did.
type ratios [kgo.CodecZstd + 1]float64

const (
	// mostRatio bounds a guess: else who writes a batch of zeros has a lot more memory held for those that follow. What becomes
	// larger gets its memory while it is read.
	mostRatio = 16
	// ratioLag is over how many batches a ratio falls. It rises at once, as what is too small is allocated anew.
	ratioLag = 32
	// sizeSlack is what readers of streams want to be left at the end.
	sizeSlack = 1 << 10
)

// note takes in what a batch has become.
func (r *ratios) note(codec kgo.CompressionCodecType, compressed, bytes int) {
	if codec <= kgo.CodecNone || int(codec) >= len(r) || compressed == 0 {
		return
	}
	now := min(mostRatio, float64(bytes)/float64(compressed))
	if now >= r[codec] {
		r[codec] = now
	} else {
		r[codec] += (now - r[codec]) / ratioLag
	}
}

// guess returns how many bytes there should be room for.
func (r *ratios) guess(codec kgo.CompressionCodecType, compressed int) int {
	ratio := 1.0
	if codec > kgo.CodecNone && int(codec) < len(r) {
		ratio = max(ratio, r[codec])
	}
	n := int(ratio * float64(compressed))
	return min(n+n/16, maxDecompressed-sizeSlack) + sizeSlack
}
