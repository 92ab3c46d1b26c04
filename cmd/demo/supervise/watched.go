package supervise

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// watched is a child with its present process.
type watched struct {
	s     *Supervisor
	child Child
	stop  chan struct{} // closed when it must not be started again
	ended chan struct{} // closed when it runs no more and will not again

	mu      sync.Mutex
	stopped bool
	process *process
}

// launch starts the process unless the child was stopped meanwhile, so that
// Stop never misses one that is just being started.
func (w *watched) launch() (*process, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.stopped {
		return nil, ErrStopped
	}
	p, err := w.s.fork(w.child)
	if err != nil {
		return nil, err
	}
	w.process = p
	if err := w.s.writePID(w.child.Name, p.pid()); err != nil {
		p.kill()
		<-p.done
		return nil, err
	}
	return p, nil
}

func (w *watched) waitReady(ctx context.Context, p *process) error {
	tick := time.NewTicker(probeEvery)
	defer tick.Stop()
	var last error
	for {
		if last = w.child.probe(ctx, p); last == nil && !p.ended() {
			return nil
		}
		select {
		case <-p.done:
			return fmt.Errorf("%s ended while starting: %s\n%s", w.child.Name, p.ending(), p.tail())
		case <-w.stop:
			return ErrStopped
		case <-ctx.Done():
			return fmt.Errorf("%s was not ready in time (%w): %w\n%s", w.child.Name, ctx.Err(), last, p.tail())
		case <-tick.C:
		}
	}
}

func (c Child) probe(ctx context.Context, p *process) error {
	if c.ReadyOutput != "" && !p.wrote(c.ReadyOutput) {
		return fmt.Errorf("it has not written %q", c.ReadyOutput)
	}
	if c.Ready == nil {
		return nil
	}
	return c.Ready(ctx)
}

// keep starts the child again whenever it ends, until it is stopped.
func (w *watched) keep(p *process) {
	defer close(w.ended)
	delay := firstDelay
	for {
		if p != nil {
			<-p.done
			if time.Since(p.started) >= steady {
				delay = firstDelay
			}
		}
		select {
		case <-w.stop:
			return
		default:
		}
		if p != nil {
			w.s.cfg.Logger.Warn("child ended", "name", w.child.Name, "pid", p.pid(), "how", p.ending(), "again_in", delay)
		}
		select {
		case <-w.stop:
			return
		case <-time.After(delay):
		}
		delay = min(2*delay, longest)
		var err error
		if p, err = w.launch(); err != nil {
			w.s.cfg.Logger.Error("child was not started", "name", w.child.Name, "error", err)
			p = nil
			continue
		}
		w.s.cfg.Logger.Warn("child started again", "name", w.child.Name, "pid", p.pid())
	}
}

// end stops the child and waits until it is gone.
func (w *watched) end(ctx context.Context) {
	w.mu.Lock()
	w.stopped = true
	close(w.stop)
	p := w.process
	w.mu.Unlock()
	if p != nil {
		p.stop(ctx, w.s.cfg.StopLimit)
	}
	<-w.ended
	w.s.removePID(w.child.Name)
}
