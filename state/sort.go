package state

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"slices"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// record is one key and value on its way through a sorter. A tombstone has no value, which is another
// thing than an empty one.
type record struct {
	key, value []byte
	due        int64
	tombstone  bool
}

// sorter sorts more records than fit into memory: it fills an arena, writes it sorted to a file (a run)
// when it is full, and merges the runs at the end. Of records with the same key only the one added last
// comes out.
type sorter struct {
	fs     vfs.FS
	prefix string // Path of the runs, to which a number is added.
	budget int    // Bytes of arena and index together.

	arena []byte
	index []place
	runs  []string
}

// place is where a record lies in the arena: its due time, its key, its value.
type place struct {
	first      uint64 // The first 8 bytes of the key: most comparisons need no more.
	at         uint32
	key, value int32 // Lengths; -1 for the value of a tombstone.
}

const placeBytes = 24

func (s *sorter) add(r *record) error {
	need := dueLen + len(r.key) + len(r.value)
	if used := len(s.arena) + len(s.index)*placeBytes; used > 0 && used+need > s.budget {
		if err := s.spill(); err != nil {
			return err
		}
	}
	p := place{first: first8(r.key), at: uint32(len(s.arena)), key: int32(len(r.key)), value: int32(len(r.value))}
	if r.tombstone {
		p.value = -1
	}
	s.arena = binary.LittleEndian.AppendUint64(s.arena, uint64(r.due))
	s.arena = append(append(s.arena, r.key...), r.value...)
	s.index = append(s.index, p)
	return nil
}

func first8(key []byte) uint64 {
	if len(key) >= 8 {
		return binary.BigEndian.Uint64(key)
	}
	var b [8]byte
	copy(b[:], key)
	return binary.BigEndian.Uint64(b[:])
}

func (s *sorter) key(p *place) []byte {
	at := int(p.at) + dueLen
	return s.arena[at : at+int(p.key)]
}

func (s *sorter) record(p *place) record {
	r := record{key: s.key(p), due: int64(binary.LittleEndian.Uint64(s.arena[p.at:])), tombstone: p.value < 0}
	if !r.tombstone {
		at := int(p.at) + dueLen + int(p.key)
		r.value = s.arena[at : at+int(p.value)]
	}
	return r
}

func (s *sorter) sort() {
	slices.SortFunc(s.index, func(a, b place) int {
		if a.first != b.first {
			return cmp.Compare(a.first, b.first)
		}
		if c := bytes.Compare(s.key(&a), s.key(&b)); c != 0 {
			return c
		}
		return cmp.Compare(a.at, b.at) // The order they were added in.
	})
}

// inMemory calls fn for the records in the arena, sorted, one for each key.
func (s *sorter) inMemory(fn func(*record) error) error {
	s.sort()
	for i := range s.index {
		next := i + 1
		if next < len(s.index) && bytes.Equal(s.key(&s.index[i]), s.key(&s.index[next])) {
			continue
		}
		r := s.record(&s.index[i])
		if err := fn(&r); err != nil {
			return err
		}
	}
	return nil
}

// spill writes the arena to a run.
func (s *sorter) spill() error {
	path := fmt.Sprintf("%s%06d", s.prefix, len(s.runs))
	f, err := s.fs.Create(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		return classify(err)
	}
	s.runs = append(s.runs, path)
	w := &runWriter{w: bufio.NewWriterSize(f, runBuffer)}
	err = s.inMemory(w.write)
	if err == nil {
		err = w.finish()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return wrap(classify(err), "writing %s", path)
	}
	s.arena, s.index = s.arena[:0], s.index[:0]
	return nil
}

// each calls fn for all records, sorted, one for each key. A record is valid during its call.
func (s *sorter) each(fn func(*record) error) (err error) {
	if len(s.runs) == 0 {
		return s.inMemory(fn)
	}
	if err := s.spill(); err != nil {
		return err
	}
	s.arena, s.index = nil, nil
	m := new(merge)
	defer func() { err = errors.Join(err, m.close()) }()
	// The sorter's memory is free now; the runs' buffers share it.
	buffer := min(max(s.budget/len(s.runs), runBuffer/4), runBuffer)
	for i, path := range s.runs {
		f, err := s.fs.Open(path, vfs.SequentialReadsOption)
		if err != nil {
			return wrap(classify(err), "reading %s", path)
		}
		r := &runReader{path: path, number: i, f: f, r: bufio.NewReaderSize(f, buffer)}
		m.files = append(m.files, r)
		if ok, err := r.next(); err != nil {
			return err
		} else if ok {
			m.push(r)
		}
	}
	return m.each(fn)
}

// each calls fn for the records of all runs, sorted, the last of each key.
func (m *merge) each(fn func(*record) error) error {
	var last record // Copied: its run moves on before it is known to be the last of its key.
	for len(m.heap) > 0 {
		r := &m.heap[0].rec
		last.key = append(last.key[:0], r.key...)
		last.value = append(last.value[:0], r.value...)
		last.due, last.tombstone = r.due, r.tombstone
		if err := m.advance(); err != nil {
			return err
		}
		if len(m.heap) > 0 && bytes.Equal(m.heap[0].rec.key, last.key) {
			continue
		}
		if err := fn(&last); err != nil {
			return err
		}
	}
	return nil
}

// merge is a heap of runs by their present record: by key, the older run first.
type merge struct {
	heap  []*runReader
	files []*runReader
}

func (m *merge) less(a, b *runReader) bool {
	if a.first != b.first {
		return a.first < b.first
	}
	if c := bytes.Compare(a.rec.key, b.rec.key); c != 0 {
		return c < 0
	}
	return a.number < b.number
}

func (m *merge) push(r *runReader) {
	m.heap = append(m.heap, r)
	for i := len(m.heap) - 1; i > 0; {
		parent := (i - 1) / 2
		if !m.less(m.heap[i], m.heap[parent]) {
			return
		}
		m.heap[i], m.heap[parent] = m.heap[parent], m.heap[i]
		i = parent
	}
}

// advance moves the first run to its next record, and the heap into order.
func (m *merge) advance() error {
	ok, err := m.heap[0].next()
	if err != nil {
		return err
	}
	if !ok {
		last := len(m.heap) - 1
		m.heap[0] = m.heap[last]
		m.heap = m.heap[:last]
	}
	for i := 0; ; {
		child := 2*i + 1
		if child >= len(m.heap) {
			return nil
		}
		if right := child + 1; right < len(m.heap) && m.less(m.heap[right], m.heap[child]) {
			child = right
		}
		if !m.less(m.heap[child], m.heap[i]) {
			return nil
		}
		m.heap[i], m.heap[child] = m.heap[child], m.heap[i]
		i = child
	}
}

func (m *merge) close() error {
	var errs []error
	for _, r := range m.files {
		errs = append(errs, classify(r.f.Close()))
	}
	return errors.Join(errs...)
}

// A run is records of key length, value length + 1 or 0 for a tombstone (both varints), due time, key
// and value; then a key length of 0 and the checksum of all before it.
const runBuffer = 256 << 10

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

type runWriter struct {
	w    *bufio.Writer
	sum  uint32
	head []byte
}

func (w *runWriter) write(r *record) error {
	length := uint64(len(r.value)) + 1
	if r.tombstone {
		length = 0
	}
	w.head = binary.AppendUvarint(w.head[:0], uint64(len(r.key)))
	w.head = binary.AppendUvarint(w.head, length)
	w.head = binary.LittleEndian.AppendUint64(w.head, uint64(r.due))
	for _, part := range [][]byte{w.head, r.key, r.value} {
		w.sum = crc32.Update(w.sum, castagnoli, part)
		if _, err := w.w.Write(part); err != nil {
			return err
		}
	}
	return nil
}

func (w *runWriter) finish() error {
	if _, err := w.w.Write(binary.LittleEndian.AppendUint32([]byte{0}, w.sum)); err != nil {
		return err
	}
	return w.w.Flush()
}

type runReader struct {
	path   string
	number int
	f      vfs.File
	r      *bufio.Reader
	rec    record
	first  uint64
	buf    []byte
	spare  []byte // The last buf: rec of the call before.
	sum    uint32
}

// next reads the next record, false after the last, whose checksum is then right.
func (r *runReader) next() (bool, error) {
	head, err := r.r.Peek(maxRunHead)
	if len(head) < 5 {
		return false, r.damaged(err)
	}
	keyLen, n := binary.Uvarint(head)
	if n <= 0 {
		return false, r.damaged(nil)
	}
	if keyLen == 0 {
		if binary.LittleEndian.Uint32(head[n:]) != r.sum {
			return false, r.damaged(nil)
		}
		return false, nil
	}
	valueLen, m := binary.Uvarint(head[n:])
	if m <= 0 || len(head) < n+m+dueLen || keyLen > maxRunPart || valueLen > maxRunPart {
		return false, r.damaged(err)
	}
	r.sum = crc32.Update(r.sum, castagnoli, head[:n+m+dueLen])
	r.rec.due = int64(binary.LittleEndian.Uint64(head[n+m:]))
	if _, err := r.r.Discard(n + m + dueLen); err != nil {
		return false, r.damaged(err)
	}
	r.rec.tombstone = valueLen == 0
	size := int(keyLen) + int(valueLen)
	if !r.rec.tombstone {
		size--
	}
	last := r.rec.key
	r.buf, r.spare = slices.Grow(r.spare[:0], size)[:size], r.buf
	if _, err := io.ReadFull(r.r, r.buf); err != nil {
		return false, r.damaged(err)
	}
	r.sum = crc32.Update(r.sum, castagnoli, r.buf)
	r.rec.key, r.rec.value = r.buf[:keyLen], r.buf[keyLen:]
	r.first = first8(r.rec.key)
	if bytes.Compare(last, r.rec.key) >= 0 {
		return false, r.damaged(nil) // Before the checksum would tell, and before the order goes wrong.
	}
	return true, nil
}

const (
	maxRunHead = 2*binary.MaxVarintLen64 + dueLen
	maxRunPart = 1 << 30
)

func (r *runReader) damaged(err error) error {
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return wrap(classify(err), "reading %s", r.path)
	}
	return fmt.Errorf("%w: file %q was read back otherwise than written; %s", ErrCorrupt, r.path, removeHint)
}
