package meet

import (
	"context"
	"errors"
	"sync"

	"securecall/crypto/pake"
	"securecall/nat/punched"
)

// A conversation is a *rendezvous.Session.
type conversation interface {
	Send(ctx context.Context, b []byte) error
	Receive(ctx context.Context) ([]byte, error)
	Close() error
}

// A talk is a conversation that nobody else can read or alter unnoticed.
type talk struct {
	conversation
	channel *pake.Channel
	// Its two directions have nothing in common. Sending may have to wait.
	sending, receiving sync.Mutex
}

func newTalk(c conversation, keys pake.Keys) (*talk, error) {
	channel, err := pake.NewChannel(keys)
	if err != nil {
		return nil, err
	}
	return &talk{conversation: c, channel: channel}, nil
}

func (t *talk) close() {
	_ = t.Close()
	t.sending.Lock()
	defer t.sending.Unlock()
	t.receiving.Lock()
	defer t.receiving.Unlock()
	t.channel.Close()
}

// say sends one sealed message.
func (t *talk) say(ctx context.Context, kind byte, body []byte) error {
	t.sending.Lock()
	defer t.sending.Unlock()
	sealed, err := t.channel.Seal(nil, append([]byte{kind}, body...))
	if err != nil {
		return err
	}
	return t.Send(ctx, sealed)
}

// hear is the next message that opens. What does not was altered or put in by
// the meeting point.
func (t *talk) hear(ctx context.Context) (kind byte, body []byte, err error) {
	for range maxNonsense {
		sealed, err := t.Receive(ctx)
		if err != nil {
			return 0, nil, err
		}
		t.receiving.Lock()
		plain, err := t.channel.Open(nil, sealed)
		t.receiving.Unlock()
		if err == nil && len(plain) > 0 {
			return plain[0], plain[1:], nil
		}
		if errors.Is(err, pake.ErrClosed) {
			return 0, nil, err
		}
	}
	return 0, nil, ErrBroken
}

// hearKind passes over messages of other kinds.
func (t *talk) hearKind(ctx context.Context, want byte) ([]byte, error) {
	for {
		kind, body, err := t.hear(ctx)
		if err != nil || kind == want {
			return body, err
		}
	}
}

// trickle says what candidates are found from now on, of which found gives a sign.
func (t *talk) trickle(ctx context.Context, path *punched.Path, found <-chan struct{}) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-found:
			if t.say(ctx, kindMore, path.Local().Append(nil)) != nil {
				return
			}
		}
	}
}

// listen takes the other side's further candidates.
func (t *talk) listen(ctx context.Context, path *punched.Path) {
	for {
		body, err := t.hearKind(ctx, kindMore)
		if err != nil {
			return
		}
		if d, err := punched.ParseDescription(body); err == nil {
			path.Add(d)
		}
	}
}
