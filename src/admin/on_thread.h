#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <memory>
#include <type_traits>
#include <utility>

#include "server/worker_thread.h"

// In a co_await, give coroutines named objects and not temporaries that own something: g++ 12
// destroys the latter twice in some places.
//
// For coroutines of the administration's thread: something is done on another thread, and the
// coroutine goes on with what came of it on its own. Heavy (Asio): for .cc files and headers of
// templates.
namespace landfall::admin {

// `start(done)` is called here; `done(R)` may be called once, from any thread. If it never is, the
// coroutine stays where it is until its io_context goes.
template <class R, class Start>
boost::asio::awaitable<R> Suspended(Start start) {
  namespace asio = boost::asio;
  const asio::any_io_executor here = co_await asio::this_coro::executor;
  auto initiate = [&here, &start](auto handler) {
    // Shared, since `done` may have to be copied.
    auto kept = std::make_shared<decltype(handler)>(std::move(handler));
    start([here, kept](R result) {
      asio::post(here, [kept, result = std::move(result)]() mutable {
        std::move (*kept)(std::move(result));
      });
    });
  };
  co_return co_await asio::async_initiate<const asio::use_awaitable_t<>&, void(R)>(
      initiate, asio::use_awaitable);
}

// What `work()` gives, called on the thread of `executor`.
template <class Executor, class Work>
auto OnThread(Executor executor, Work work) -> boost::asio::awaitable<std::invoke_result_t<Work&>> {
  using R = std::invoke_result_t<Work&>;
  auto start = [&executor, &work](auto done) {
    boost::asio::post(executor,
                      [work = std::move(work), done = std::move(done)]() mutable { done(work()); });
  };
  co_return co_await Suspended<R>(std::move(start));
}

// On a worker's, between two of its turns: a matter of microseconds, or messages wait for it.
template <class Work>
auto OnWorker(server::WorkerThread& worker, Work work)
    -> boost::asio::awaitable<std::invoke_result_t<Work&>> {
  return OnThread(worker.io().get_executor(), std::move(work));
}

}  // namespace landfall::admin
