#include "client/io_shell.h"

#include <dlfcn.h>
#include <gtest/gtest.h>
#include <netdb.h>

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string_view>

#include "client/loopback_broker.h"
#include "landfall/sender.h"

namespace {

constexpr std::string_view kHangs = "hangs.example";

std::mutex mutex;
std::condition_variable released;
bool hanging = false;

// While there is one, a look-up of kHangs gets no answer.
class SilentNameServer {
 public:
  SilentNameServer() {
    const std::lock_guard lock(mutex);
    hanging = true;
  }
  ~SilentNameServer() {
    {
      const std::lock_guard lock(mutex);
      hanging = false;
    }
    released.notify_all();
  }
};

}  // namespace

// Stands in front of the C library's.
extern "C" int getaddrinfo(const char* node, const char* service, const addrinfo* hints,
                           addrinfo** found) {
  if (node != nullptr && kHangs == node) {
    std::unique_lock lock(mutex);
    released.wait(lock, [] { return !hanging; });
    return EAI_NONAME;
  }
  static const auto real =
      reinterpret_cast<decltype(&getaddrinfo)>(dlsym(RTLD_NEXT, "getaddrinfo"));
  return real(node, service, hints, found);
}

namespace landfall::client {
namespace {

TEST(IoShell, ANumericAddressDoesNotWaitForTheLookUpOfAnotherBroker) {
  LoopbackBroker broker;
  broker.With([](FakeBroker& fake) { fake.queue_names.insert("q"); });
  std::unique_ptr<Sender> sender;
  const SilentNameServer silent;  // ends before the Sender, which waits for the look-up
  sender = std::make_unique<Sender>(SenderOptions{
      .brokers = {"amqp://" + std::string(kHangs) + "/", broker.url()},
      .routing_key = "q",
      .connect_timeout = std::chrono::milliseconds(50),
  });
  sender->SendMsg("a");
  EXPECT_TRUE(sender->Flush(std::chrono::seconds(10)));
}

}  // namespace
}  // namespace landfall::client
