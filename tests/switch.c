/* switch.c - passes Ethernet frames between ports, with a rate and a delay, where the kernel cannot
 *
 * switch PORTS MBIT MICROSECONDS REPORT makes the interfaces port1, port2, ... (TAP; to be moved
 * into the emulated hosts) and says "ready" and its process number. Each port takes and gives MBIT
 * Mbit/s (0: no limit), and each frame is MICROSECONDS under way. Frames may stand for many: what a
 * sender leaves whole for its network card to cut up stays whole, but is timed and counted as cut.
 * On SIGUSR1 and at the end it writes to REPORT what went from each port to each. SIGTERM and
 * SIGINT end it.
 *
 * A port is two queues of one server each: a frame leaves its sender when earlier ones have, and
 * arrives when it is through the link and earlier ones to the same port are. */
#define _GNU_SOURCE /* ppoll() */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

enum {
  PORTS_MOST = 64,
  FRAME_MOST = 70000,
  QUEUE_BYTES = 8 << 20, /* for a port; what is over is lost, as in hardware */
  ADDRESS = 6,
  HEADERS = 54,    /* of Ethernet, IP and TCP, should the sender not say */
  GAP = 24,        /* preamble, checksum and pause on the wire */
  AHEAD = 2000000, /* nanoseconds of frames that a port takes before their time */
  RETRY = 20000    /* nanoseconds until a full receiver is tried again */
};

typedef struct frame {
  struct frame *next;
  int64_t due;
  int bytes;
  char data[];
} frame;

typedef struct port {
  int file;
  unsigned char address[ADDRESS];
  int known; /* its address is */
  frame *first, *last;
  int64_t queued;                     /* bytes */
  int64_t sender, receiver;           /* when it is free again */
  uint64_t dropped, sent[PORTS_MOST]; /* frames; bytes to each */
} port;

typedef struct network {
  int ports;
  double byte_time; /* nanoseconds */
  int64_t delay;
  port port[PORTS_MOST];
  char buffer[FRAME_MOST];
} network;

static volatile sig_atomic_t wanted, ended;

static void note(int signal)
{
  if (signal == SIGUSR1)
    wanted = 1;
  else
    ended = 1;
}

static int64_t now(void)
{
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * INT64_C(1000000000) + time.tv_nsec;
}

static void report(const network *n, const char *path)
{
  FILE *file = fopen(path, "w");
  if (file == NULL)
    return;
  for (int i = 0; i < n->ports; i++)
    for (int j = 0; j < n->ports; j++)
      if (n->port[i].sent[j] > 0)
        fprintf(file, "%d to %d: %" PRIu64 " bytes\n", i + 1, j + 1, n->port[i].sent[j]);
  for (int i = 0; i < n->ports; i++)
    if (n->port[i].dropped > 0)
      fprintf(file, "to %d: %" PRIu64 " frames lost\n", i + 1, n->port[i].dropped);
  fclose(file);
}

static int open_port(int number)
{
  struct ifreq request = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR};
  int file = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
  snprintf(request.ifr_name, sizeof request.ifr_name, "port%d", number);
  if (file >= 0 && ioctl(file, TUNSETIFF, &request) == 0 &&
      ioctl(file, TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6) == 0)
    return file;
  fprintf(stderr, "switch: %s: %s\n", request.ifr_name, strerror(errno));
  return -1;
}

/* Hands over what is due, and returns when the next frame will be. */
static int64_t deliver(port *p)
{
  int64_t time = now();
  while (p->first != NULL && p->first->due <= time) {
    frame *f = p->first;
    if (write(p->file, f->data, (size_t)f->bytes) < 0 && errno == EAGAIN) {
      f->due = time + RETRY;
      break;
    }
    p->queued -= f->bytes;
    p->first = f->next;
    if (p->first == NULL)
      p->last = NULL;
    free(f);
  }
  return p->first != NULL ? p->first->due : INT64_MAX;
}

static void enqueue(network *n, int to, int bytes, int64_t due)
{
  port *p = &n->port[to];
  frame *f = p->queued + bytes <= QUEUE_BYTES ? malloc(sizeof *f + (size_t)bytes) : NULL;
  if (f == NULL) {
    p->dropped++;
    return;
  }
  f->next = NULL;
  f->due = due;
  f->bytes = bytes;
  memcpy(f->data, n->buffer, (size_t)bytes);
  if (p->last != NULL)
    p->last->next = f;
  else
    p->first = f;
  p->last = f;
  p->queued += bytes;
}

/* The port of an address; -1: all others. */
static int find(const network *n, const unsigned char *address)
{
  for (int i = 0; i < n->ports && !(address[0] & 1); i++)
    if (n->port[i].known && memcmp(n->port[i].address, address, ADDRESS) == 0)
      return i;
  return -1;
}

/* The frame in the buffer has come from port `from`. */
static void forward(network *n, int from, int bytes)
{
  const struct virtio_net_hdr *head = (const struct virtio_net_hdr *)n->buffer;
  const unsigned char *ethernet = (const unsigned char *)n->buffer + sizeof *head;
  int length = bytes - (int)sizeof *head, parts = 1;
  int headers = head->hdr_len > 0 ? head->hdr_len : HEADERS;
  if (head->gso_type != VIRTIO_NET_HDR_GSO_NONE && head->gso_size > 0)
    parts = (length - headers + head->gso_size - 1) / head->gso_size;
  int64_t wire = length + (int64_t)(parts - 1) * headers, time = now();
  int64_t whole = (int64_t)((double)(wire + GAP * parts) * n->byte_time), first = whole / parts;
  port *p = &n->port[from];
  memcpy(p->address, ethernet + ADDRESS, ADDRESS);
  p->known = 1;
  int64_t start = time > p->sender ? time : p->sender;
  p->sender = start + whole;
  int to = find(n, ethernet);
  for (int i = 0; i < n->ports; i++)
    if (i != from && (to < 0 || i == to)) {
      port *other = &n->port[i];
      int64_t arrival = start + first + n->delay; /* of the first part */
      other->receiver = (arrival > other->receiver ? arrival : other->receiver) + whole;
      enqueue(n, i, bytes, other->receiver - first);
      p->sent[i] += (uint64_t)wire;
    }
}

/* Takes what port `from` sends, but no more than it may send in the near future. */
static void take(network *n, int from)
{
  port *p = &n->port[from];
  for (int i = 0; i < 32 && p->sender - now() <= AHEAD; i++) {
    ssize_t bytes = read(p->file, n->buffer, sizeof n->buffer);
    if (bytes <= (ssize_t)(sizeof(struct virtio_net_hdr) + 2 * ADDRESS))
      break;
    forward(n, from, (int)bytes);
  }
}

/* Until a frame comes, or is due. */
static int wait_for_frames(network *n, struct pollfd *files, int64_t next)
{
  int64_t time = now();
  for (int i = 0; i < n->ports; i++) {
    int busy = n->port[i].sender - time > AHEAD;
    files[i] = (struct pollfd){.fd = busy ? -1 : n->port[i].file, .events = POLLIN};
    if (busy && n->port[i].sender - AHEAD / 2 < next)
      next = n->port[i].sender - AHEAD / 2;
  }
  int64_t left = next > time ? next - time : 0;
  struct timespec span = {left / 1000000000, left % 1000000000};
  return ppoll(files, (nfds_t)n->ports, next == INT64_MAX ? NULL : &span, NULL);
}

static int serve(network *n, const char *path)
{
  struct pollfd files[PORTS_MOST];
  while (!ended) {
    int64_t next = INT64_MAX;
    if (wanted) {
      wanted = 0;
      report(n, path);
    }
    for (int i = 0; i < n->ports; i++) {
      int64_t due = deliver(&n->port[i]);
      next = due < next ? due : next;
    }
    if (wait_for_frames(n, files, next) < 0) {
      if (errno == EINTR)
        continue;
      perror("switch");
      return 1;
    }
    for (int i = 0; i < n->ports; i++)
      if (files[i].fd >= 0 && (files[i].revents & POLLIN))
        take(n, i);
  }
  report(n, path);
  return 0;
}

int main(int argc, char **argv)
{
  static network n;
  if (argc != 5 || (n.ports = atoi(argv[1])) < 1 || n.ports > PORTS_MOST) {
    fputs("usage: switch PORTS MBIT MICROSECONDS REPORT\n", stderr);
    return 2;
  }
  n.byte_time = atof(argv[2]) > 0 ? 8000 / atof(argv[2]) : 0;
  n.delay = (int64_t)(atof(argv[3]) * 1000);
  prctl(PR_SET_TIMERSLACK, 1); /* sleep no longer than asked */
  const struct sigaction action = {.sa_handler = note};
  sigaction(SIGUSR1, &action, NULL);
  sigaction(SIGTERM, &action, NULL);
  sigaction(SIGINT, &action, NULL);
  for (int i = 0; i < n.ports; i++)
    if ((n.port[i].file = open_port(i + 1)) < 0)
      return 1;
  printf("ready, process %ld\n", (long)getpid());
  fflush(stdout);
  return serve(&n, argv[4]);
}
