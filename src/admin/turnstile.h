#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cstddef>
#include <utility>

namespace landfall::admin {

// Lets so many through at a time; others wait. For what takes much memory while it is under way.
//
// Thread: the administration's. Outlives those who have passed.
class Turnstile {
 public:
  Turnstile(const boost::asio::any_io_executor& executor, size_t places)
      : free_(places), left_(executor, boost::asio::steady_timer::time_point::max()) {}

  // A place, until it is destroyed.
  class Pass {
   public:
    explicit Pass(Turnstile& turnstile) : turnstile_(&turnstile) { --turnstile.free_; }
    Pass(Pass&& other) noexcept : turnstile_(std::exchange(other.turnstile_, nullptr)) {}
    ~Pass() {
      if (turnstile_ != nullptr) turnstile_->Leave();
    }
    Pass& operator=(Pass&&) = delete;

   private:
    Turnstile* turnstile_;
  };

  boost::asio::awaitable<Pass> Enter() {
    while (free_ == 0) co_await left_.async_wait(boost::asio::as_tuple(boost::asio::use_awaitable));
    co_return Pass(*this);
  }

 private:
  void Leave() {
    ++free_;
    left_.cancel();
  }

  size_t free_;
  boost::asio::steady_timer left_;  // cancelled when a place is free
};

}  // namespace landfall::admin
