package call

import "fmt"

// Configure has the calls that are still to come be as c says; those that there are go on as
// they began. Once, Echo, PacketTime, Cache, OnEvent and EarlierCalls stay what they were. It may
// be called from any goroutine; after Run it does nothing.
func (e *Endpoint) Configure(c Config) error {
	c.Once, c.Echo, c.PacketTime = e.conf.Once, e.conf.Echo, e.conf.PacketTime
	c.Cache, c.OnEvent, c.EarlierCalls = e.conf.Cache, e.conf.OnEvent, e.conf.EarlierCalls
	c.guesses = e.conf.guesses
	c, err := c.withDefaults()
	if err != nil {
		return err
	}
	select {
	case e.commands <- order{conf: &c}:
	case <-e.done:
	}
	return nil
}

// configure is what control does about it.
func (e *Endpoint) configure(c *Config) { e.next, e.full = c, notice{} }

// A BusyError tells that somebody has called while there was another call.
type BusyError struct {
	Who string // the contact's name, or the address
}

func (e *BusyError) Error() string {
	return fmt.Sprintf("%s has called meanwhile, and was told that you are busy", e.Who)
}

// Anonymous is the same without the name.
func (e *BusyError) Anonymous() string {
	return "somebody has called meanwhile, and was told that you are busy"
}

// who is the peer, by name where it has proved it.
func (c *core) who() string {
	if c.security.Contact != "" {
		return c.security.Contact
	}
	return c.seen().String()
}
