#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>

#include <cstdio>
#include <exception>
#include <filesystem>
#include <string>
#include <system_error>

#include "admin/admin.h"
#include "server/config.h"
#include "server/log.h"
#include "server/server.h"

// landfalld, the broker: reads what it is told, serves until SIGTERM or SIGINT, ends in order.
namespace {

using landfall::Error;
using landfall::ErrorCode;
namespace admin = landfall::admin;
namespace server = landfall::server;

constexpr int kExitOther = 1;
constexpr int kExitUsage = 2;
constexpr int kExitStorage = 3;  // as storage::ExitOnFatalError

int Complain(const Error& error, int status) {
  std::fprintf(stderr, "landfalld: %s\n", error.ToString().c_str());
  return status;
}

int StatusOf(const Error& error) {
  switch (error.code) {
    case ErrorCode::kIo:
    case ErrorCode::kExhausted:
    case ErrorCode::kNoSpace:
    case ErrorCode::kCorrupt:
      return kExitStorage;
    case ErrorCode::kInvalidArgument:
      return kExitUsage;
    default:
      return kExitOther;
  }
}

// Blocked in every thread, so that main takes them one by one with sigwait.
sigset_t BlockSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  for (int s : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&signals, s);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  // A peer that is gone is an error of its socket.
  signal(SIGPIPE, SIG_IGN);
  return signals;
}

// Each connection is an open file, and the soft limit that shells set is low for the sake of
// programs that use select().
void AllowAllOpenFiles() {
  rlimit files;
  if (getrlimit(RLIMIT_NOFILE, &files) != 0) return;
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
}

void Reload(server::Server& broker, admin::Admin& http, const server::Config& config) {
  if (auto reloaded = broker.ReloadUsers(); reloaded) {
    server::LogInfo("users read again", {{"file", config.users_file}});
  } else {
    server::LogError("users not read again; those from before stay in force",
                     {{"error", reloaded.error().ToString()}});
  }
  if (!broker.has_tls() && !http.has_tls()) return;
  auto reloaded = broker.ReloadCertificates();
  if (reloaded) reloaded = http.ReloadCertificates();
  if (reloaded) {
    server::LogInfo("certificates read again", {{"file", config.tls_certificate}});
  } else {
    server::LogError("certificates not read again; those from before stay in force",
                     {{"error", reloaded.error().ToString()}});
  }
}

// Where the build and the package put it, as seen from the program.
std::string InstalledConsole() {
  std::error_code error;
  const auto program = std::filesystem::read_symlink("/proc/self/exe", error);
  if (error) return "";
  const auto directory = program.parent_path().parent_path() / "share" / "landfall" / "console";
  return std::filesystem::exists(directory / "index.html", error) ? directory.string() : "";
}

landfall::Result<void> LoadConsole(admin::Admin& http, const std::string& option) {
  const std::string directory = option.empty() ? InstalledConsole() : option;
  if (directory.empty() || directory == "none") return {};
  return http.LoadConsole(directory);
}

landfall::Result<void> OpenHttp(admin::Admin& http, const server::Config& config) {
  if (!config.http_listen.host.empty()) {
    if (auto opened = http.Open("http_listen", config.http_listen); !opened) return opened;
  }
  if (config.https_listen.host.empty()) return {};
  return http.OpenTls("https_listen", config.https_listen,
                      {.certificate_file = config.tls_certificate, .key_file = config.tls_key});
}

std::string OrNone(const std::string& address) { return address.empty() ? "none" : address; }

int Serve(const server::Config& config) {
  server::SetUpLog({.level = config.log_level, .format = config.log_format});
  if (config.unsafe_no_sync) {
    server::LogWarn(
        "UNSAFE: unsafe_no_sync is on. Messages are confirmed before they are on the disk "
        "and are lost when the machine fails. For tests only.");
  }
  const sigset_t signals = BlockSignals();
  AllowAllOpenFiles();
  // Outlives the broker: see there.
  admin::Admin http;
  const bool serves_http = !config.http_listen.host.empty() || !config.https_listen.host.empty();
  if (serves_http) {
    if (auto opened = OpenHttp(http, config); !opened)
      return Complain(opened.error(), StatusOf(opened.error()));
    if (auto loaded = LoadConsole(http, config.console_directory); !loaded)
      return Complain(loaded.error(), StatusOf(loaded.error()));
  }
  server::Server broker(config);
  if (auto started = broker.Start(); !started)
    return Complain(started.error(), StatusOf(started.error()));
  if (serves_http) http.Start(broker);
  if (broker.has_tls() || http.has_tls()) {
    server::LogInfo("listening with TLS", {{"amqps", OrNone(broker.amqps_address())},
                                           {"https", OrNone(http.tls_address())}});
  }
  server::LogInfo("listening", {{"amqp", broker.amqp_address()},
                                {"http", OrNone(http.address())},
                                {"data_dir", config.data_dir},
                                {"workers", config.workers},
                                {"version", LANDFALL_VERSION}});
  for (;;) {
    int signal = 0;
    sigwait(&signals, &signal);
    if (signal != SIGHUP) {
      server::LogInfo("stopping: what is under way is finished first", {{"signal", signal}});
      http.Stop();
      broker.Stop();
      server::LogInfo("stopped");
      return 0;
    }
    Reload(broker, http, config);
  }
}

}  // namespace

int main(int argc, char** argv) {
  try {
    const auto request = server::LoadConfig(argc, argv);
    if (!request) return Complain(request.error(), kExitUsage);
    switch (request->action) {
      case server::ConfigAction::kShow:
        std::fputs(request->text.c_str(), stdout);
        return 0;
      case server::ConfigAction::kCheck:
        std::fputs(server::DescribeConfig(*request).c_str(), stdout);
        return 0;
      case server::ConfigAction::kRun:
        return Serve(request->config);
    }
  } catch (const std::exception& e) {
    std::fprintf(stderr, "landfalld: %s\n", e.what());
  }
  return kExitOther;
}
