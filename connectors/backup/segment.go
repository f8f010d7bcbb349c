package backup

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"os"

	"leadstream/engine"
)

// A file begins with magic. Then come blocks: the length of the content in 4 bytes, its CRC-32C in 4, the content: whole
// records. A block of length 0 is the last: its 8 bytes of content are the number of records. All numbers are little-endian.
// A record is its key, value, timestamp in ms and headers: texts as a length and bytes, lengths as unsigned varints, one more
// than it is so that 0 is nil.

// magic begins each file; its last byte is the format.
const magic = "leadstream segment\x01"

const (
	blockBytes = 256 << 10 // a block is ended when it has as much
	maxBlock   = 1 << 30   // and no valid one has more
)

// ErrDamaged is returned for a backup that is not as it was written. The text names file and offset.
var ErrDamaged = errors.New("the backup is damaged")

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// writer writes one file.
type writer struct {
	name    string
	f       *os.File
	w       *bufio.Writer
	sum     hash.Hash
	block   []byte
	records uint64
	bytes   int64
}

func create(path, name string) (*writer, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("writing a backup: %w", err)
	}
	w := &writer{name: name, f: f, w: bufio.NewWriterSize(f, 1<<20), sum: sha256.New()}
	return w, w.write([]byte(magic))
}

func (w *writer) write(b []byte) error {
	w.sum.Write(b)
	w.bytes += int64(len(b))
	if _, err := w.w.Write(b); err != nil {
		return fmt.Errorf("writing backup file %q: %w", w.name, err)
	}
	return nil
}

func (w *writer) add(r *engine.Record) error {
	b := appendText(appendText(w.block, r.Key), r.Value)
	b = binary.AppendVarint(b, r.Timestamp)
	b = binary.AppendUvarint(b, uint64(len(r.Headers)))
	for _, h := range r.Headers {
		b = appendText(appendText(b, []byte(h.Key)), h.Value)
	}
	w.block = b
	w.records++
	if len(w.block) >= blockBytes {
		return w.flush()
	}
	return nil
}

func appendText(b, text []byte) []byte {
	if text == nil {
		return append(b, 0)
	}
	return append(binary.AppendUvarint(b, uint64(len(text))+1), text...)
}

func (w *writer) flush() error {
	if len(w.block) == 0 {
		return nil
	}
	if len(w.block) > maxBlock {
		return fmt.Errorf("writing backup file %q: a record of %d bytes is too large", w.name, len(w.block))
	}
	err := w.frame(uint32(len(w.block)), w.block)
	w.block = w.block[:0]
	return err
}

func (w *writer) frame(length uint32, content []byte) error {
	var head [8]byte
	binary.LittleEndian.PutUint32(head[:], length)
	binary.LittleEndian.PutUint32(head[4:], crc32.Checksum(content, castagnoli))
	if err := w.write(head[:]); err != nil {
		return err
	}
	return w.write(content)
}

// close writes the end and returns what the manifest says of the file.
func (w *writer) close() (File, error) {
	err := w.flush()
	if err == nil {
		err = w.frame(0, binary.LittleEndian.AppendUint64(nil, w.records))
	}
	err = errors.Join(err, w.w.Flush(), w.f.Sync(), w.f.Close())
	if err != nil {
		return File{}, fmt.Errorf("writing backup file %q: %w", w.name, err)
	}
	return File{Name: w.name, Records: w.records, Bytes: w.bytes, SHA256: hex.EncodeToString(w.sum.Sum(nil))}, nil
}

// read calls fn with the records of a file, which it may keep. At the end it compares all of it with want.
func read(f io.Reader, want File, fn func(*engine.Record) error) error {
	sum := sha256.New()
	r := &segment{r: bufio.NewReaderSize(io.TeeReader(f, sum), 64<<10), name: want.Name}
	if err := r.all(fn); err != nil {
		return err
	}
	if n, err := r.r.ReadByte(); err == nil {
		return r.damaged("byte %#02x follows the end", n)
	} else if !errors.Is(err, io.EOF) {
		return fmt.Errorf("reading backup file %q: %w", want.Name, err)
	}
	if r.records != want.Records || r.at != want.Bytes {
		return r.damaged("%d records in %d bytes, the manifest says %d in %d", r.records, r.at, want.Records, want.Bytes)
	}
	if got := hex.EncodeToString(sum.Sum(nil)); got != want.SHA256 {
		return fmt.Errorf("backup file %q has the sum %s, the manifest says %s: %w", want.Name, got, want.SHA256, ErrDamaged)
	}
	return nil
}

// segment reads a file.
type segment struct {
	r       *bufio.Reader
	name    string
	at      int64 // where the present block begins
	records uint64
}

func (s *segment) damaged(format string, args ...any) error {
	return fmt.Errorf("backup file %q at offset %d: %s: %w", s.name, s.at, fmt.Sprintf(format, args...), ErrDamaged)
}

// take reads n bytes. A length that is not true costs no more memory than there are bytes.
func (s *segment) take(n int64) ([]byte, error) {
	var b bytes.Buffer
	if n <= blockBytes {
		b.Grow(int(n))
	}
	got, err := io.CopyN(&b, s.r, n)
	switch {
	case errors.Is(err, io.EOF):
		return nil, s.damaged("it is cut off, %d bytes are missing", n-got)
	case err != nil:
		return nil, fmt.Errorf("reading backup file %q: %w", s.name, err)
	}
	return b.Bytes(), nil
}

func (s *segment) all(fn func(*engine.Record) error) error {
	head, err := s.take(int64(len(magic)))
	if err != nil {
		return err
	}
	if string(head[:len(magic)-1]) != magic[:len(magic)-1] {
		return s.damaged("it is no file of a backup")
	}
	if head[len(magic)-1] != magic[len(magic)-1] {
		return fmt.Errorf("backup file %q has format %d, this program reads %d: %w", s.name, head[len(magic)-1], magic[len(magic)-1], ErrNewer)
	}
	s.at += int64(len(head))
	for {
		last, err := s.blockOf(fn)
		if err != nil || last {
			return err
		}
	}
}

// blockOf reads one block; true when it was the last.
func (s *segment) blockOf(fn func(*engine.Record) error) (bool, error) {
	head, err := s.take(8)
	if err != nil {
		return false, err
	}
	n, sum := int64(binary.LittleEndian.Uint32(head)), binary.LittleEndian.Uint32(head[4:])
	if n > maxBlock {
		return false, s.damaged("a block of %d bytes", n)
	}
	content, err := s.take(max(n, 8*b2i(n == 0)))
	if err != nil {
		return false, err
	}
	if crc32.Checksum(content, castagnoli) != sum {
		return false, s.damaged("a block does not have its sum")
	}
	if n == 0 {
		if want := binary.LittleEndian.Uint64(content); want != s.records {
			return false, s.damaged("it has %d records, its end says %d", s.records, want)
		}
		s.at += 16
		return true, nil
	}
	for rest := content; len(rest) > 0; {
		var rec engine.Record
		if rest, err = decode(rest, &rec); err != nil {
			return false, s.damaged("record %d: %v", s.records, err)
		}
		rec.Offset = int64(s.records)
		s.records++
		if err := fn(&rec); err != nil {
			return false, fmt.Errorf("backup file %q, record %d in the block at offset %d: %w", s.name, rec.Offset, s.at, err)
		}
	}
	s.at += 8 + n
	return false, nil
}

func b2i(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

var errShort = errors.New("it ends in the middle")

// maxHeaders bounds the headers of a record.
const maxHeaders = 1 << 16

func decode(b []byte, r *engine.Record) (rest []byte, err error) {
	if r.Key, b, err = text(b); err != nil {
		return nil, err
	}
	if r.Value, b, err = text(b); err != nil {
		return nil, err
	}
	at, n := binary.Varint(b)
	if n <= 0 {
		return nil, errShort
	}
	r.Timestamp, b = at, b[n:]
	count, n := binary.Uvarint(b)
	if n <= 0 || count > maxHeaders {
		return nil, errShort
	}
	b = b[n:]
	for range count {
		var k, v []byte
		if k, b, err = text(b); err != nil {
			return nil, err
		}
		if v, b, err = text(b); err != nil {
			return nil, err
		}
		r.Headers = append(r.Headers, engine.Header{Key: string(k), Value: v})
	}
	return b, nil
}

func text(b []byte) (text, rest []byte, err error) {
	n, w := binary.Uvarint(b)
	switch {
	case w <= 0:
		return nil, nil, errShort
	case n == 0:
		return nil, b[w:], nil
	case n-1 > uint64(len(b)-w):
		return nil, nil, errShort
	}
	end := w + int(n-1)
	return b[w:end:end], b[end:], nil
}
