/*
 * A plain ZRTP endpoint to call securecall with: Belledonne's libbzrtp for the
 * keys, libsrtp2 for the media, PCMU in packets of 20 ms, all on one UDP port.
 * scripts/interop.sh builds and runs it. It is a test program of its own, since
 * libbzrtp is under the GPL; nothing of it goes into securecall.
 *
 *   bzrtp-peer [options] listen HOST PORT   wait for a peer (PORT 0: any)
 *   bzrtp-peer [options] dial HOST PORT
 *
 *   -H -C -A -K -S LIST   hashes, ciphers, tags, key agreements, SAS types, by
 *                         their four characters, most wanted first, with commas;
 *                         libbzrtp adds those that every endpoint must have
 *   -i FILE   G.711 octets to send once secure; then silence
 *   -o FILE   where the G.711 octets that come go, in the order of arrival
 *   -t S      end with BYE S seconds after it is secure (default 30)
 *   -w S      give up if it is not secure after S seconds (default 10)
 *
 * It prints, a line each, "listening PORT", "secured" with what was agreed,
 * and "ended" with its reason and counts; it ends with 0 if the call was
 * secured and what came was all valid and without a gap.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include <bzrtp/bzrtp.h>
#include <sqlite3.h>
#include <srtp2/srtp.h>

enum { FRAME = 160, RTP_HEADER = 12, DATAGRAM = 2048, SILENCE = 0xff };

/* The names of RFC 6189, Sections 5.1.2 to 5.1.6, and bzrtp's X255 and X448. */
static const struct {
	char option;
	uint8_t type, code;
	const char *name;
} algorithms[] = {
	{'H', ZRTP_HASH_TYPE, ZRTP_HASH_S256, "S256"},
	{'H', ZRTP_HASH_TYPE, ZRTP_HASH_S384, "S384"},
	{'C', ZRTP_CIPHERBLOCK_TYPE, ZRTP_CIPHER_AES1, "AES1"},
	{'C', ZRTP_CIPHERBLOCK_TYPE, ZRTP_CIPHER_AES3, "AES3"},
	{'A', ZRTP_AUTHTAG_TYPE, ZRTP_AUTHTAG_HS32, "HS32"},
	{'A', ZRTP_AUTHTAG_TYPE, ZRTP_AUTHTAG_HS80, "HS80"},
	{'K', ZRTP_KEYAGREEMENT_TYPE, ZRTP_KEYAGREEMENT_DH2k, "DH2k"},
	{'K', ZRTP_KEYAGREEMENT_TYPE, ZRTP_KEYAGREEMENT_DH3k, "DH3k"},
	{'K', ZRTP_KEYAGREEMENT_TYPE, ZRTP_KEYAGREEMENT_X255, "X255"},
	{'K', ZRTP_KEYAGREEMENT_TYPE, ZRTP_KEYAGREEMENT_X448, "X448"},
	{'S', ZRTP_SAS_TYPE, ZRTP_SAS_B32, "B32"},
	{'S', ZRTP_SAS_TYPE, ZRTP_SAS_B256, "B256"},
};
enum { ALGORITHMS = sizeof algorithms / sizeof algorithms[0] };

/* One call; there is only one, and one thread. */
struct call {
	int fd;
	bool connected, secure, bye;
	uint32_t ssrc;
	uint8_t role;
	bzrtpContext_t *zrtp;
	srtp_t out, in;

	FILE *send, *received;
	uint16_t seq;
	uint32_t timestamp;
	uint16_t last; /* the peer's sequence number */
	unsigned long sent, got, gaps, invalid;
};

static void die(const char *what)
{
	fprintf(stderr, "bzrtp-peer: %s\n", what);
	exit(1);
}

static void die_errno(const char *what)
{
	fprintf(stderr, "bzrtp-peer: %s: %s\n", what, strerror(errno));
	exit(1);
}

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static const char *name_of(uint8_t code)
{
	for (int i = 0; i < ALGORITHMS; i++)
		if (algorithms[i].code == code)
			return algorithms[i].name;
	return "?";
}

/* Offers the algorithms of LIST, which names those of one option. */
static void offer(bzrtpContext_t *z, char option, char *list)
{
	uint8_t codes[7], type = 0, n = 0;

	for (char *name = strtok(list, ","); name; name = strtok(NULL, ",")) {
		int i = 0;
		while (i < ALGORITHMS && (algorithms[i].option != option || strcmp(algorithms[i].name, name)))
			i++;
		if (i == ALGORITHMS || n == sizeof codes)
			die("no such algorithm, or too many");
		codes[n++] = algorithms[i].code;
		type = algorithms[i].type;
	}
	bzrtp_setSupportedCryptoTypes(z, type, codes, n);
}

static void transmit(struct call *c, const void *packet, size_t n)
{
	/* Whether the other side still listens, its packets and the time tell. */
	if (send(c->fd, packet, n, 0) < 0 && errno != ECONNREFUSED)
		die_errno("send");
}

static int zrtp_send(void *data, const uint8_t *packet, uint16_t n)
{
	transmit(data, packet, n);
	return 0;
}

/* One direction's SRTP, with the suite that ZRTP agreed on. The tag of SRTCP
 * is always 80 bits (RFC 3711, Section 5.2). */
static srtp_t new_srtp(const bzrtpSrtpSecrets_t *s, bool outbound)
{
	const uint8_t *key = outbound ? s->selfSrtpKey : s->peerSrtpKey;
	const uint8_t *salt = outbound ? s->selfSrtpSalt : s->peerSrtpSalt;
	size_t key_len = outbound ? s->selfSrtpKeyLength : s->peerSrtpKeyLength;
	size_t salt_len = outbound ? s->selfSrtpSaltLength : s->peerSrtpSaltLength;
	bool wide = s->cipherAlgo == ZRTP_CIPHER_AES3;
	unsigned char master[64];
	srtp_policy_t p = {0};
	srtp_t session;

	if (key_len != (wide ? 32 : 16) || salt_len != 14)
		die("key and salt do not have the size that the cipher wants");
	memcpy(master, key, key_len);
	memcpy(master + key_len, salt, salt_len);
	if (wide) {
		srtp_crypto_policy_set_aes_cm_256_hmac_sha1_80(&p.rtp);
		srtp_crypto_policy_set_aes_cm_256_hmac_sha1_80(&p.rtcp);
	} else {
		srtp_crypto_policy_set_aes_cm_128_hmac_sha1_80(&p.rtp);
		srtp_crypto_policy_set_aes_cm_128_hmac_sha1_80(&p.rtcp);
	}
	if (s->authTagAlgo == ZRTP_AUTHTAG_HS32)
		p.rtp.auth_tag_len = 4;
	p.ssrc.type = outbound ? ssrc_any_outbound : ssrc_any_inbound;
	p.key = master;
	p.window_size = 128;
	if (srtp_create(&session, &p) != srtp_err_status_ok)
		die("srtp_create");
	memset(master, 0, sizeof master);
	return session;
}

static int zrtp_secrets(void *data, const bzrtpSrtpSecrets_t *s, uint8_t part)
{
	struct call *c = data;

	if (part & ZRTP_SRTP_SECRETS_FOR_SENDER)
		c->out = new_srtp(s, true);
	if (part & ZRTP_SRTP_SECRETS_FOR_RECEIVER)
		c->in = new_srtp(s, false);
	return 0;
}

static int zrtp_role(void *data, int zuid, uint8_t role)
{
	struct call *c = data;

	(void)zuid;
	c->role = role;
	return 0;
}

static int zrtp_secure(void *data, const bzrtpSrtpSecrets_t *s, int32_t verified)
{
	struct call *c = data;

	if (!c->in || !c->out)
		die("secure, but without keys");
	c->secure = true;
	printf("secured role=%s hash=%s cipher=%s auth=%s key_agreement=%s sas_type=%s sas=%s cache_mismatch=%d verified=%d\n",
	       c->role == BZRTP_ROLE_INITIATOR ? "initiator" : "responder", name_of(s->hashAlgo), name_of(s->cipherAlgo),
	       name_of(s->authTagAlgo), name_of(s->keyAgreementAlgo), name_of(s->sasAlgo), s->sas, s->cacheMismatch, verified);
	return 0;
}

static void put16(uint8_t *b, uint16_t v) { v = htons(v), memcpy(b, &v, 2); }
static void put32(uint8_t *b, uint32_t v) { v = htonl(v), memcpy(b, &v, 4); }
static uint16_t get16(const uint8_t *b) { return (uint16_t)(b[0] << 8 | b[1]); }

/* The next 20 ms, silence after the end of the file. */
static void send_frame(struct call *c)
{
	uint8_t b[RTP_HEADER + FRAME + SRTP_MAX_TRAILER_LEN] = {0x80, 0 /* PCMU */};
	int n = RTP_HEADER + FRAME;
	size_t read = c->send ? fread(b + RTP_HEADER, 1, FRAME, c->send) : 0;

	memset(b + RTP_HEADER + read, SILENCE, FRAME - read);
	put16(b + 2, c->seq++);
	put32(b + 4, c->timestamp);
	put32(b + 8, c->ssrc);
	c->timestamp += FRAME;
	if (srtp_protect(c->out, b, &n) != srtp_err_status_ok)
		die("srtp_protect");
	transmit(c, b, (size_t)n);
	c->sent++;
}

/* A receiver report without blocks, a CNAME and, to leave, BYE (RFC 3550,
 * Section 6.1). */
static void send_rtcp(struct call *c, bool bye)
{
	uint8_t b[64 + SRTP_MAX_TRAILER_LEN + 4] = {0};
	int n = 0;

	put32(b, 0x80c90001), put32(b + 4, c->ssrc), n = 8;
	put32(b + n, 0x81ca0003), put32(b + n + 4, c->ssrc);
	memcpy(b + n + 8, "\1\4test\0\0", 8), n += 16;
	if (bye)
		put32(b + n, 0x81cb0001), put32(b + n + 4, c->ssrc), n += 8;
	if (srtp_protect_rtcp(c->out, b, &n) != srtp_err_status_ok)
		die("srtp_protect_rtcp");
	transmit(c, b, (size_t)n);
}

static void receive_rtp(struct call *c, uint8_t *b, int n)
{
	if (!c->in || srtp_unprotect(c->in, b, &n) != srtp_err_status_ok) {
		c->invalid++;
		return;
	}
	/* As securecall sends them: no CSRC, extension or padding; PCMU. */
	if (n != RTP_HEADER + FRAME || b[0] != 0x80 || (b[1] & 0x7f) != 0) {
		c->invalid++;
		return;
	}
	if (c->got++ && get16(b + 2) != (uint16_t)(c->last + 1))
		c->gaps++;
	c->last = get16(b + 2);
	if (c->received && fwrite(b + RTP_HEADER, 1, FRAME, c->received) != FRAME)
		die_errno("write");
}

static void receive_rtcp(struct call *c, uint8_t *b, int n)
{
	if (!c->in || srtp_unprotect_rtcp(c->in, b, &n) != srtp_err_status_ok) {
		c->invalid++;
		return;
	}
	for (int at = 0; at + 4 <= n; at += 4 * (get16(b + at + 2) + 1))
		if (b[at + 1] == 203)
			c->bye = true;
}

/* Which kind it is, its first octets tell (RFC 7983; RFC 5761, Section 4). */
static void receive(struct call *c, uint8_t *b, ssize_t n)
{
	if (n < RTP_HEADER)
		c->invalid++;
	else if (b[0] >= 16 && b[0] <= 19)
		bzrtp_processMessage(c->zrtp, c->ssrc, b, (uint16_t)n); /* repeats are errors to it */
	else if (b[0] >= 128 && b[0] <= 191 && b[1] >= 192 && b[1] <= 223)
		receive_rtcp(c, b, (int)n);
	else if (b[0] >= 128 && b[0] <= 191)
		receive_rtp(c, b, (int)n);
	else
		c->invalid++;
}

/* Takes what has come, for some ms at most. The first who sends is the peer. */
static void hear(struct call *c, int ms)
{
	struct pollfd p = {.fd = c->fd, .events = POLLIN};
	uint8_t b[DATAGRAM];
	struct sockaddr_in from;
	socklen_t len = sizeof from;

	if (poll(&p, 1, ms) <= 0)
		return;
	ssize_t n = recvfrom(c->fd, b, sizeof b, MSG_DONTWAIT, (struct sockaddr *)&from, &len);
	if (n < 0) {
		if (errno != EAGAIN && errno != ECONNREFUSED)
			die_errno("recvfrom");
		return;
	}
	if (!c->connected) {
		if (connect(c->fd, (struct sockaddr *)&from, len))
			die_errno("connect");
		c->connected = true;
		if (bzrtp_startChannelEngine(c->zrtp, c->ssrc))
			die("bzrtp_startChannelEngine");
	}
	receive(c, b, n);
}

static void open_socket(struct call *c, bool listens, const char *host, const char *port)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port))};
	socklen_t len = sizeof a;

	if (inet_pton(AF_INET, host, &a.sin_addr) != 1)
		die("HOST is an IPv4 address");
	c->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (c->fd < 0)
		die_errno("socket");
	if (listens) {
		if (bind(c->fd, (struct sockaddr *)&a, sizeof a) || getsockname(c->fd, (struct sockaddr *)&a, &len))
			die_errno("bind");
		printf("listening %d\n", ntohs(a.sin_port));
		return;
	}
	if (connect(c->fd, (struct sockaddr *)&a, sizeof a))
		die_errno("connect");
	c->connected = true;
	if (bzrtp_startChannelEngine(c->zrtp, c->ssrc))
		die("bzrtp_startChannelEngine");
}

/* Runs the call and returns why it ended. */
static const char *run(struct call *c, uint64_t wait, uint64_t talk)
{
	uint64_t begun = now_ms(), iterated = 0, next = 0, until = 0;

	for (;;) {
		hear(c, 5);
		uint64_t now = now_ms();
		if (c->connected && now - iterated >= 10) {
			bzrtp_iterate(c->zrtp, c->ssrc, now);
			iterated = now;
		}
		if (c->bye)
			return "bye";
		if (!c->secure) {
			if (now - begun > wait)
				return "timeout";
			continue;
		}
		if (!until) {
			until = now + talk;
			next = now;
			send_rtcp(c, false);
		}
		for (; next <= now; next += 20)
			send_frame(c);
		if (now > until) {
			send_rtcp(c, true);
			return "time";
		}
	}
}

static FILE *open_file(const char *name, const char *mode)
{
	FILE *f = fopen(name, mode);

	if (!f)
		die_errno(name);
	return f;
}

int main(int argc, char **argv)
{
	struct call c = {0};
	uint64_t wait = 10000, talk = 30000;
	sqlite3 *cache;
	const bzrtpCallbacks_t callbacks = {
		.bzrtp_sendData = zrtp_send,
		.bzrtp_srtpSecretsAvailable = zrtp_secrets,
		.bzrtp_startSrtpSession = zrtp_secure,
		.bzrtp_contextReadyForExportedKeys = zrtp_role,
	};

	setvbuf(stdout, NULL, _IOLBF, 0);
	c.zrtp = bzrtp_createBzrtpContext();
	for (int o; (o = getopt(argc, argv, "H:C:A:K:S:i:o:t:w:")) != -1;) {
		switch (o) {
		case 'i': c.send = open_file(optarg, "rb"); break;
		case 'o': c.received = open_file(optarg, "wb"); break;
		case 't': talk = (uint64_t)(1000 * atof(optarg)); break;
		case 'w': wait = (uint64_t)(1000 * atof(optarg)); break;
		case '?': return 2;
		default: offer(c.zrtp, (char)o, optarg);
		}
	}
	if (argc - optind != 3 || (strcmp(argv[optind], "listen") && strcmp(argv[optind], "dial")))
		die("usage: bzrtp-peer [options] listen|dial HOST PORT");

	if (srtp_init() != srtp_err_status_ok)
		die("srtp_init");
	/* A cache, so that what bzrtp says about a mismatch means something. */
	if (sqlite3_open(":memory:", &cache) != SQLITE_OK)
		die("sqlite3_open");
	int e = bzrtp_setZIDCache_lock(c.zrtp, cache, "peer", "securecall", NULL);
	if (e && e != BZRTP_CACHE_SETUP)
		die("bzrtp_setZIDCache_lock");
	if (getrandom(&c.ssrc, sizeof c.ssrc, 0) < 0 || getrandom(&c.timestamp, sizeof c.timestamp, 0) < 0)
		die_errno("getrandom");
	c.seq = 65500; /* it wraps in the first second */
	if (bzrtp_setCallbacks(c.zrtp, &callbacks) || bzrtp_initBzrtpContext(c.zrtp, c.ssrc) ||
	    bzrtp_setClientData(c.zrtp, c.ssrc, &c))
		die("bzrtp cannot be set up");
	open_socket(&c, !strcmp(argv[optind], "listen"), argv[optind + 1], argv[optind + 2]);

	const char *reason = run(&c, wait, talk);
	printf("ended reason=%s sent=%lu received=%lu gaps=%lu invalid=%lu\n", reason, c.sent, c.got, c.gaps, c.invalid);

	if (c.received && fclose(c.received))
		die_errno("write");
	if (c.send)
		fclose(c.send);
	bzrtp_destroyBzrtpContext(c.zrtp, c.ssrc);
	sqlite3_close(cache);
	if (c.in)
		srtp_dealloc(c.in);
	if (c.out)
		srtp_dealloc(c.out);
	return !c.secure || c.gaps || c.invalid;
}
