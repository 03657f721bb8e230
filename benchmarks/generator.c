/* A load generator as plain as it can be: one process, epoll, connect, one write, one read, hold.
 *
 *     generator ADDRESS PORT SOURCE CONNECTIONS IN_FLIGHT
 *
 * Makes the system calls that the measured one makes, in the same order, and prints the seconds from
 * the first connect() to the last answer. Ends with 1 where not every connection was answered.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#ifndef IP_BIND_ADDRESS_NO_PORT
#define IP_BIND_ADDRESS_NO_PORT 24
#endif

static const char request[] =
    "GET / HTTP/1.1\r\nHost: localhost\r\nUser-Agent: stackctl\r\nAccept: */*\r\n\r\n";

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
    if (argc != 6)
        return 2;
    struct sockaddr_in target = {.sin_family = AF_INET, .sin_port = htons(atoi(argv[2]))};
    struct sockaddr_in source = {.sin_family = AF_INET};
    inet_pton(AF_INET, argv[1], &target.sin_addr);
    inet_pton(AF_INET, argv[3], &source.sin_addr);
    int total = atoi(argv[4]), in_flight = atoi(argv[5]);
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    char *asked = calloc((size_t)total + 64, 1);
    int *fds = calloc((size_t)in_flight, sizeof *fds);
    int poll = epoll_create1(EPOLL_CLOEXEC), started = 0, opened = 0, failed = 0;
    struct epoll_event events[512];
    char buffer[8192];
    printf("ready\n");
    fflush(stdout);
    /* Whoever measures says when. */
    if (read(0, buffer, sizeof buffer) <= 0)
        return 2;
    double began = now();
    while (opened + failed < total) {
        int due = in_flight - (started - opened - failed), one = 1;
        struct linger reset = {1, 0};
        if (due > total - started)
            due = total - started;
        for (int i = 0; i < due; i++) {
            fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
            /* The measured one would say which failed; here it ends the comparison. */
            if (fds[i] < 0 || fds[i] >= total + 64)
                return 1;
        }
        for (int i = 0; i < due; i++)
            setsockopt(fds[i], SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
        for (int i = 0; i < due; i++)
            setsockopt(fds[i], IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
        for (int i = 0; i < due; i++)
            bind(fds[i], (struct sockaddr *)&source, sizeof source);
        started += due;
        for (int i = 0; i < due; i++) {
            int fd = fds[i];
            if (connect(fd, (struct sockaddr *)&target, sizeof target) && errno != EINPROGRESS) {
                failed++;
                close(fd);
                continue;
            }
            struct epoll_event wanted = {EPOLLIN | EPOLLRDHUP | EPOLLET, {.fd = fd}};
            if (write(fd, request, sizeof request - 1) > 0)
                asked[fd] = 1;
            else if (errno == EAGAIN)
                wanted.events |= EPOLLOUT;
            else {
                failed++;
                close(fd);
                continue;
            }
            epoll_ctl(poll, EPOLL_CTL_ADD, fd, &wanted);
        }
        int count = epoll_wait(poll, events, 512, 50);
        if (now() - began > 60)
            return 1;
        for (int i = 0; i < count; i++) {
            int fd = events[i].data.fd;
            if (!asked[fd]) {
                asked[fd] = 1;
                if (write(fd, request, sizeof request - 1) < 0) {
                    failed++;
                    close(fd);
                }
            } else if (asked[fd] == 1 && events[i].events & EPOLLIN) {
                asked[fd] = 2;
                if (read(fd, buffer, sizeof buffer) > 0)
                    opened++;
                else {
                    failed++;
                    close(fd);
                }
            }
        }
    }
    printf("%.6f\n", now() - began);
    fflush(stdout);
    /* Held until then. */
    while (read(0, buffer, sizeof buffer) > 0)
        ;
    return failed ? 1 : 0;
}
