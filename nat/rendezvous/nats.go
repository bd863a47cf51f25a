package rendezvous

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	natsBucket = "securecall-mailboxes"
	nodePrefix = "securecall.node."
	namePrefix = "securecall.name."
	// natsTTL is when the bucket forgets what a node that died has left. It is
	// longer than any mailbox is held.
	natsTTL = 2 * time.Hour
	// natsReplicas is how many NATS servers hold the bucket, where there are
	// so many.
	natsReplicas = 3
	// natsDraws is how often a number of one class is drawn before the class
	// counts as full.
	natsDraws = 3
	// natsPatience is how long another node, or a NATS server, may take to say that it is there.
	natsPatience = 2 * time.Second
	natsPending  = 4096 // requests for names that nobody has read yet
)

// NATS is a Store that all nodes share that are given the same NATS. Numbers
// are entries of a JetStream key-value bucket, which only one node can make or
// claim; names are subjects, on which a node listens while it has somebody who
// waits: they end with the node.
type NATS struct {
	nc      *nats.Conn
	kv      jetstream.KeyValue
	node    string
	receive func(note)
	asked   chan *nats.Msg // for names
	done    chan struct{}
	running sync.WaitGroup

	mu    sync.Mutex
	names map[Name]*natsName
}

type natsName struct {
	natsOwner
	sub *nats.Subscription
}

// A natsOwner is who waits on a name, since when: the latest counts.
type natsOwner struct {
	Owner end   `json:"owner"`
	Since int64 `json:"since"` // nanoseconds since 1970, by its node's clock
}

func (o natsOwner) before(other natsOwner) bool {
	return cmp.Or(cmp.Compare(o.Since, other.Since), cmp.Compare(o.Owner.Node, other.Owner.Node)) < 0
}

// A natsMailbox is an entry of the bucket.
type natsMailbox struct {
	Owner end    `json:"owner"`
	Until int64  `json:"until"`          // milliseconds since 1970
	Over  string `json:"over,omitempty"` // used or expired, while the number rests
}

// NewNATS connects to the NATS servers of a URL, or of several with commas
// between them. credentials are what the servers ask for: NATS's own (a JWT with its
// seed), USER:PASSWORD or a token; nil: nothing.
func NewNATS(ctx context.Context, url string, credentials []byte) (*NATS, error) {
	nc, err := nats.Connect(url, natsAccess(credentials), nats.Name("securecall rendezvous"), nats.Timeout(natsPatience),
		nats.MaxReconnects(-1), nats.ReconnectWait(250*time.Millisecond),
		// Servers that were refused us twice, as while they learn another password, may take us later.
		nats.IgnoreAuthErrorAbort(),
		// A machine that vanished says nothing: it is asked.
		nats.PingInterval(natsPatience), nats.MaxPingsOutstanding(2), nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}))
	if err != nil {
		return nil, err
	}
	kv, err := natsOpen(ctx, nc)
	if err != nil {
		nc.Close()
		return nil, err
	}
	return &NATS{
		nc: nc, kv: kv, asked: make(chan *nats.Msg, natsPending), done: make(chan struct{}), names: map[Name]*natsName{},
	}, nil
}

// natsAccess is how to say who we are.
func natsAccess(credentials []byte) nats.Option {
	text := strings.TrimSpace(string(credentials))
	user, password, both := strings.Cut(text, ":")
	switch {
	case text == "":
		return func(*nats.Options) error { return nil }
	case strings.HasPrefix(text, "-----BEGIN"):
		return nats.UserCredentialBytes(credentials)
	case both:
		return nats.UserInfo(user, password)
	}
	return nats.Token(text)
}

// natsOpen finds the bucket, or makes it.
func natsOpen(ctx context.Context, nc *nats.Conn) (jetstream.KeyValue, error) {
	js, err := jetstream.New(nc)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, 2*storePatience)
	defer cancel()
	replicas := natsReplicas
	if nc.ConnectedClusterName() == "" {
		replicas = 1
	}
	kv, err := js.KeyValue(ctx, natsBucket)
	if err != nil {
		kv, err = js.CreateKeyValue(ctx, jetstream.KeyValueConfig{
			Bucket: natsBucket, Description: "numbers of securecall rendezvous", TTL: natsTTL, History: 1,
			Storage: jetstream.MemoryStorage, Replicas: replicas,
		})
	}
	if err != nil {
		return nil, fmt.Errorf("JetStream, which is to keep numbers on %d servers: %w", replicas, err)
	}
	return kv, nil
}

func (s *NATS) attach(node string, receive func(note)) error {
	s.node, s.receive = node, receive
	_, err := s.nc.Subscribe(nodePrefix+node, func(m *nats.Msg) {
		if m.Reply != "" {
			_ = m.Respond(nil) // a join: we are there
		}
		var n note
		if json.Unmarshal(m.Data, &n) == nil {
			receive(n)
		}
	})
	if err == nil {
		err = s.nc.Flush()
	}
	s.running.Go(s.answer)
	return err
}

func (s *NATS) close() {
	close(s.done)
	s.running.Wait()
	_ = s.nc.FlushTimeout(natsPatience)
	s.nc.Close()
}

func natsKey(number uint32) string { return strconv.FormatUint(uint64(number), 10) }

func natsValue(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // nothing in them can fail
	}
	return b
}

// steady writes to the bucket, again as long as no server leads it. Where the one that did
// has died, the others choose another in 4 to 9 s; until then nothing is written, and who
// dials a code in that time can wait. An answer that does not come is another matter: what
// was written is not known then.
func steady(ctx context.Context, write func() (uint64, error)) (revision uint64, err error) {
	for {
		revision, err = write() // which waits half a second before it says so
		if !errors.Is(err, jetstream.ErrNoStreamResponse) || ctx.Err() != nil {
			return revision, err
		}
	}
}

func (s *NATS) open(ctx context.Context, owner end, until time.Time) (uint32, error) {
	value := natsValue(natsMailbox{Owner: owner, Until: until.UnixMilli()})
	for i := range classes {
		for range natsDraws {
			n := draw(i)
			_, err := steady(ctx, func() (uint64, error) { return s.kv.Create(ctx, natsKey(n), value) })
			switch {
			case err == nil:
				return n, nil
			case !errors.Is(err, jetstream.ErrKeyExists):
				return 0, errUnavailable
			}
		}
	}
	return 0, errUnavailable
}

func (s *NATS) claim(ctx context.Context, number uint32) (end, error) {
	owner, revision, err := s.look(ctx, number)
	if err != nil {
		return end{}, err
	}
	return owner, s.retire(ctx, number, owner, revision, errUsed)
}

// look is who waits at a number.
func (s *NATS) look(ctx context.Context, number uint32) (owner end, revision uint64, err error) {
	entry, err := s.kv.Get(ctx, natsKey(number))
	switch {
	case errors.Is(err, jetstream.ErrKeyNotFound):
		return end{}, 0, errUnknown
	case err != nil:
		return end{}, 0, errUnavailable
	}
	var m natsMailbox
	switch err := json.Unmarshal(entry.Value(), &m); {
	case err != nil:
		return end{}, 0, errUnknown
	case m.Over == reasonUsed:
		return end{}, 0, errUsed
	case m.Over != "", time.Now().UnixMilli() >= m.Until:
		return end{}, 0, errExpired
	}
	return m.Owner, entry.Revision(), nil
}

// retire ends a mailbox that is as it was at revision. If it no longer is,
// another node was faster: then it has been used.
func (s *NATS) retire(ctx context.Context, number uint32, owner end, revision uint64, why error) error {
	value := natsValue(natsMailbox{Owner: owner, Over: why.Error()})
	latest, err := steady(ctx, func() (uint64, error) { return s.kv.Update(ctx, natsKey(number), value, revision) })
	switch {
	case errors.Is(err, jetstream.ErrKeyRevisionMismatch):
		return errUsed
	case err != nil:
		return errUnavailable
	}
	time.AfterFunc(resting, func() {
		ctx, cancel := context.WithTimeout(context.Background(), storePatience)
		defer cancel()
		_ = s.kv.Delete(ctx, natsKey(number), jetstream.LastRevision(latest))
	})
	return nil
}

func (s *NATS) release(number uint32, owner end) {
	ctx, cancel := context.WithTimeout(context.Background(), natsPatience)
	defer cancel()
	if who, revision, err := s.look(ctx, number); err == nil && who == owner {
		_ = s.retire(ctx, number, owner, revision, errExpired)
	}
}

func nameSubject(name Name) string { return namePrefix + name.String() }

func (s *NATS) wait(_ context.Context, name Name, owner end) error {
	now := natsOwner{owner, time.Now().UnixNano()}
	s.mu.Lock()
	one := s.names[name]
	if one == nil {
		sub, err := s.nc.ChanSubscribe(nameSubject(name), s.asked)
		if err != nil {
			s.mu.Unlock()
			return errUnavailable
		}
		one = &natsName{sub: sub}
		s.names[name] = one
	}
	before := one.natsOwner
	one.natsOwner = now
	s.mu.Unlock()
	if before.Owner != (end{}) && before.Owner != owner {
		s.receive(note{Kind: noteReplaced, To: before.Owner, Name: name})
	}
	// Who is told that we wait may say so to somebody at another node at once.
	if s.nc.Publish(nameSubject(name), natsValue(now)) != nil || s.nc.FlushTimeout(natsPatience) != nil {
		s.unwait(name, owner)
		return errUnavailable
	}
	return nil
}

func (s *NATS) unwait(name Name, owner end) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if one := s.names[name]; one != nil && one.Owner == owner {
		_ = one.sub.Unsubscribe()
		delete(s.names, name)
	}
}

// answer tells other nodes who waits on our names, and hears from them who
// does instead.
func (s *NATS) answer() {
	for {
		var m *nats.Msg
		select {
		case m = <-s.asked:
		case <-s.done:
			return
		}
		var name Name
		if len(m.Subject) < len(namePrefix) || name.UnmarshalText([]byte(m.Subject[len(namePrefix):])) != nil {
			continue
		}
		s.mu.Lock()
		one := s.names[name]
		var ours natsOwner
		if one != nil {
			ours = one.natsOwner
		}
		s.mu.Unlock()
		switch {
		case one == nil:
		case m.Reply != "":
			_ = m.Respond(natsValue(ours))
		default:
			var other natsOwner
			if json.Unmarshal(m.Data, &other) == nil && other.Owner.Node != s.node && ours.before(other) {
				s.unwait(name, ours.Owner)
				s.receive(note{Kind: noteReplaced, To: ours.Owner, Name: name})
			}
		}
	}
}

func (s *NATS) find(ctx context.Context, name Name) (end, error) {
	m, err := s.nc.RequestWithContext(ctx, nameSubject(name), nil)
	switch {
	case errors.Is(err, nats.ErrNoResponders):
		return end{}, errUnknown
	case err != nil:
		return end{}, errUnavailable
	}
	var o natsOwner
	if json.Unmarshal(m.Data, &o) != nil || o.Owner == (end{}) {
		return end{}, errUnknown
	}
	return o.Owner, nil
}

func (s *NATS) send(n note) {
	switch {
	case n.To.Node == s.node:
		s.receive(n)
	case n.Kind == noteJoin:
		// Whoever waits may be of a node that has died.
		go func() {
			if _, err := s.nc.Request(nodePrefix+n.To.Node, natsValue(n), natsPatience); err != nil {
				s.receive(note{Kind: noteRefuse, To: n.From, Reason: reasonExpired})
			}
		}()
	default:
		_ = s.nc.Publish(nodePrefix+n.To.Node, natsValue(n))
	}
}
