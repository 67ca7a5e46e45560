// Parts of a job shared among threads, and memory that is given back.
#ifndef NEOCOG_THREADS_H
#define NEOCOG_THREADS_H

#include <stdint.h>
#include <stdlib.h>

#include <atomic>

#include "blocks.h"

namespace {

// Memory of `count` numbers, aligned to a cache line; `data` is NULL where there was none.
template <class T>
struct Array {
    T *data;
    explicit Array(int64_t count)
        : data(static_cast<T *>(aligned_alloc(64, (static_cast<size_t>(count) * sizeof(T) + 63) / 64 * 64 + 64))) {}
    ~Array() { free(data); }
    Array(const Array &) = delete;
    Array &operator=(const Array &) = delete;
};

// The memory of a worker that needs none.
struct NoMemory {
    template <class Worker>
    explicit NoMemory(const Worker &) {}
    bool ready() const { return true; }
};

template <class Worker>
struct Job {
    const Worker *worker;
    int64_t parts;
    std::atomic<int64_t> next;
    std::atomic<bool> failed;

    static void run(void *data) {
        Job *job = static_cast<Job *>(data);
        // A worker has its own memory, made once for all parts that the thread takes.
        typename Worker::Memory memory(*job->worker);
        if (!memory.ready()) {
            job->failed = true;
            return;
        }
        for (int64_t part; (part = job->next.fetch_add(1)) < job->parts;) job->worker->part(part, memory);
    }
};

// Run worker.part(0 .. parts - 1, memory), whichever thread is free takes the next part. What a part gives must not
// depend on who ran it, or when. False where there was not memory enough.
template <class Worker>
bool in_parallel(const neocog_threads *threads, int64_t parts, const Worker &worker) {
    Job<Worker> job{&worker, parts, {0}, {false}};
    const int64_t useful = parts < threads->count ? parts : threads->count;
    if (useful > 1 && threads->parallel != nullptr) {
        threads->parallel(Job<Worker>::run, &job, static_cast<unsigned>(useful), 0);
    } else if (parts > 0) {
        Job<Worker>::run(&job);
    }
    return !job.failed;
}

}  // namespace
#endif
