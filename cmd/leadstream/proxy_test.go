package main

import (
	"net"
	"sync"
	"testing"
	"time"
)

// proxy stands between the program and the broker. It changes nothing of what is said, but can be slow, and cut.
type proxy struct {
	listener net.Listener
	target   string

	mu    sync.Mutex
	conns map[net.Conn]bool // both ends
	delay time.Duration     // before each piece, in both directions
	until time.Time         // nothing passes before it
	wg    sync.WaitGroup
}

// newProxy listens; connections that come before behind is called are refused.
func newProxy(t *testing.T) *proxy {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{listener: l, conns: map[net.Conn]bool{}}
	p.wg.Go(p.accept)
	t.Cleanup(func() {
		_ = l.Close()
		p.cut(1, 1)
		p.wg.Wait()
	})
	return p
}

func (p *proxy) addr() string { return p.listener.Addr().String() }

func (p *proxy) behind(target string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.target = target
}

func (p *proxy) accept() {
	for {
		c, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.mu.Lock()
		target := p.target
		p.mu.Unlock()
		b, err := net.Dial("tcp", target)
		if err != nil {
			_ = c.Close()
			continue
		}
		p.mu.Lock()
		p.conns[c], p.conns[b] = true, true
		p.mu.Unlock()
		p.wg.Go(func() { p.copy(c, b) })
		p.wg.Go(func() { p.copy(b, c) })
	}
}

// copy passes one direction on until either end is closed.
func (p *proxy) copy(to, from net.Conn) {
	defer func() {
		p.mu.Lock()
		delete(p.conns, to)
		delete(p.conns, from)
		p.mu.Unlock()
		_ = to.Close()
		_ = from.Close()
	}()
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		p.mu.Lock()
		wait := max(p.delay, time.Until(p.until))
		p.mu.Unlock()
		time.Sleep(wait)
		if n > 0 {
			if _, werr := to.Write(buf[:n]); werr != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// cut closes one in so many of the connections, in the middle of whatever they say.
func (p *proxy) cut(one, in int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	i := 0
	for c := range p.conns { // which ones does not matter, and can't be known beforehand
		if i%in < one {
			_ = c.Close()
		}
		i++
	}
}

// slow delays everything from now on; 0 ends it.
func (p *proxy) slow(by time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.delay = by
}

// hold lets nothing pass for a while: connections stay open.
func (p *proxy) hold(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.until = time.Now().Add(d)
}
