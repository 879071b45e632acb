#include "server/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "base/temporary_directory.h"

namespace landfall::server {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::EndsWith;
using testing::HasSubstr;

class ConfigTest : public testing::Test {
 protected:
  Result<ConfigRequest> Load(std::vector<std::string> arguments) {
    std::vector<const char*> argv{"landfalld"};
    for (const std::string& argument : arguments) argv.push_back(argument.c_str());
    return LoadConfig(static_cast<int>(argv.size()), argv.data(), [this](const char* name) {
      const auto it = variables_.find(name);
      return it == variables_.end() ? nullptr : it->second.c_str();
    });
  }
  // The configuration that these flags give together with --data-dir.
  Config Loaded(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {"--data-dir", "/data"});
    const auto request = Load(std::move(arguments));
    EXPECT_TRUE(request) << request.error().message;
    return request ? request->config : Config{};
  }
  std::string ErrorOf(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {"--data-dir", "/data"});
    const auto request = Load(std::move(arguments));
    if (request) return "no error";
    EXPECT_EQ(request.error().code, ErrorCode::kInvalidArgument);
    return request.error().message;
  }
  std::string ErrorOfFile(std::string_view text) {
    return ErrorOf({"--config", directory_.Write("landfall.toml", text)});
  }

  TemporaryDirectory directory_;
  std::map<std::string, std::string> variables_;
};

TEST_F(ConfigTest, ServesHttpOnThisMachineUnlessItIsToldOtherwise) {
  EXPECT_EQ(Loaded({}).http_listen.ToString(), "127.0.0.1:15672");
  EXPECT_EQ(Loaded({"--http-listen", "[::]:0"}).http_listen.ToString(), "[::]:0");
  EXPECT_EQ(Loaded({"--http-listen", "none"}).http_listen.host, "");
  EXPECT_EQ(Loaded({}).console_directory, "");
  EXPECT_EQ(Loaded({"--console-directory", "/srv/console"}).console_directory, "/srv/console");
  EXPECT_THAT(ErrorOf({"--http-listen", "nowhere"}), HasSubstr("or none"));
}

TEST_F(ConfigTest, HasDefaultsForAllButTheDataDirectory) {
  const Config config = Loaded({});
  EXPECT_EQ(config.data_dir, "/data");
  EXPECT_EQ(config.users_file, "/data/users.toml");
  EXPECT_EQ(config.amqp_listen.ToString(), "127.0.0.1:5672");
  EXPECT_GE(config.workers, 1);
  EXPECT_EQ(config.shards, 64);
  EXPECT_THAT(config.vhosts, ElementsAre("/"));
  EXPECT_GT(config.memory_limit, 0u);
  EXPECT_FALSE(config.unsafe_no_sync);
}

TEST_F(ConfigTest, AsksForADataDirectory) {
  const auto request = Load({});
  ASSERT_FALSE(request);
  EXPECT_THAT(request.error().message, HasSubstr("--data-dir"));
}

TEST_F(ConfigTest, TakesFlagsBeforeVariablesBeforeTheFileBeforeDefaults) {
  const std::string file = directory_.Write("landfall.toml", R"(
data_dir = "/from/file"
workers = 2
heartbeat = 20
channel_max = 200
)");
  variables_["LANDFALL_WORKERS"] = "3";
  variables_["LANDFALL_HEARTBEAT"] = "30";
  const auto request = Load({"--config", file, "--workers", "4"});
  ASSERT_TRUE(request) << request.error().message;
  EXPECT_EQ(request->config.workers, 4);
  EXPECT_EQ(request->config.heartbeat, 30);
  EXPECT_EQ(request->config.channel_max, 200);
  EXPECT_EQ(request->config.data_dir, "/from/file");
  EXPECT_EQ(request->config.shards, 64);
  EXPECT_EQ(request->origins.at("workers"), "--workers");
  EXPECT_EQ(request->origins.at("heartbeat"), "LANDFALL_HEARTBEAT");
  EXPECT_EQ(request->origins.at("channel_max"), file + ":5");
}

TEST_F(ConfigTest, FindsTheFileThroughTheEnvironment) {
  variables_["LANDFALL_CONFIG"] = directory_.Write("landfall.toml", "workers = 7\n");
  EXPECT_EQ(Loaded({}).workers, 7);
}

TEST_F(ConfigTest, TakesAnEmptyVariableForNone) {
  variables_["LANDFALL_WORKERS"] = "";
  variables_["LANDFALL_DATA_DIR"] = "";
  variables_["LANDFALL_SERVICE_HOST"] = "10.0.0.1";  // made up by Kubernetes
  EXPECT_EQ(Loaded({}).data_dir, "/data");
}

TEST_F(ConfigTest, TakesTheLastOfAFlagThatIsGivenTwice) {
  EXPECT_EQ(Loaded({"--workers", "2", "--workers=3"}).workers, 3);
}

TEST_F(ConfigTest, ReadsEveryKindOfOption) {
  const Config config = Loaded(
      {"--amqp-listen=[::1]:0", "--vhosts", "/,orders", "--log-level", "debug", "--log-format",
       "json", "--segment-size", "1MiB", "--journal-window", "4194304", "--memory-limit", "2 GiB",
       "--queue-memory", "8MiB", "--users-file", "/etc/users.toml", "--unsafe-no-sync"});
  EXPECT_EQ(config.amqp_listen, (Endpoint{.host = "::1", .port = 0}));
  EXPECT_THAT(config.vhosts, ElementsAre("/", "orders"));
  EXPECT_EQ(config.log_level, LogLevel::kDebug);
  EXPECT_EQ(config.log_format, LogFormat::kJson);
  EXPECT_EQ(config.segment_size, uint64_t{1} << 20);
  EXPECT_EQ(config.journal_window, uint64_t{4} << 20);
  EXPECT_EQ(config.memory_limit, uint64_t{2} << 30);
  EXPECT_EQ(config.queue_memory, uint64_t{8} << 20);
  EXPECT_EQ(config.users_file, "/etc/users.toml");
  EXPECT_TRUE(config.unsafe_no_sync);
}

TEST_F(ConfigTest, ReadsEveryKindOfKeyOfTheFile) {
  const Config config = Loaded({"--config", directory_.Write("landfall.toml", R"(
amqp_listen = "0.0.0.0:5673"
vhosts = ["/", "a,b"]
log_format = "json"
segment_size = "128KiB"
frame_max = 8192
memory_limit = "50%"
unsafe_no_sync = true
)")});
  EXPECT_EQ(config.amqp_listen, (Endpoint{.host = "0.0.0.0", .port = 5673}));
  EXPECT_THAT(config.vhosts, ElementsAre("/", "a,b"));
  EXPECT_EQ(config.log_format, LogFormat::kJson);
  EXPECT_EQ(config.segment_size, 128u << 10);
  EXPECT_EQ(config.frame_max, 8192u);
  EXPECT_GT(config.memory_limit, 0u);
  EXPECT_TRUE(config.unsafe_no_sync);
}

TEST_F(ConfigTest, LetsAFlagTurnOffWhatTheFileTurnsOn) {
  const std::string file = directory_.Write("landfall.toml", "unsafe_no_sync = true\n");
  EXPECT_FALSE(Loaded({"--config", file, "--unsafe-no-sync=false"}).unsafe_no_sync);
}

TEST_F(ConfigTest, TakesLocalhostForTheLoopbackAddress) {
  EXPECT_EQ(Loaded({"--amqp-listen", "localhost:1"}).amqp_listen.host, "127.0.0.1");
}

TEST_F(ConfigTest, NamesAnUnknownKeyItsLineAndTheNearestKnownOne) {
  EXPECT_THAT(ErrorOfFile("workers = 2\namqp_lisen = \"127.0.0.1:1\"\n"),
              EndsWith("landfall.toml:2: unknown key amqp_lisen; did you mean amqp_listen?"));
  EXPECT_THAT(ErrorOfFile("[http]\nlisten = 1\n"), HasSubstr(":1: unknown key http"));
  EXPECT_THAT(ErrorOfFile("qqqqqqqqqqqqqqqqq = 1\n"), HasSubstr("--help"));
}

TEST_F(ConfigTest, NamesAnUnknownFlagAndTheNearestKnownOne) {
  EXPECT_EQ(ErrorOf({"--worker=3"}), "unknown flag --worker; did you mean --workers?");
  EXPECT_EQ(ErrorOf({"3"}), "landfalld takes flags only, not '3'");
}

TEST_F(ConfigTest, SaysWhatAWrongValueShouldHaveBeenAndWhereItStands) {
  EXPECT_EQ(ErrorOf({"--workers", "many"}),
            "--workers must be a whole number from 1 to 1023, not 'many'");
  EXPECT_THAT(ErrorOf({"--workers", "1024"}), HasSubstr("from 1 to 1023"));
  EXPECT_THAT(ErrorOf({"--workers", "-1"}), HasSubstr("from 1 to 1023"));
  EXPECT_THAT(ErrorOf({"--segment-size", "64MB"}), HasSubstr("KiB, MiB, GiB"));
  EXPECT_THAT(ErrorOf({"--segment-size", "99999999999999GiB"}), HasSubstr("a size from"));
  EXPECT_THAT(ErrorOf({"--memory-limit", "101%"}), HasSubstr("share of the memory"));
  EXPECT_THAT(ErrorOf({"--log-level", "loud"}), HasSubstr("trace|debug|info|warn|error|off"));
  EXPECT_THAT(ErrorOf({"--unsafe-no-sync=perhaps"}), HasSubstr("true or false"));
  EXPECT_THAT(ErrorOf({"--vhosts", "a,,b"}), HasSubstr("1 to 255 bytes"));
  for (const char* address : {"5672", "host:5672", "1.2.3.4", "1.2.3.4:65536", "::1:5672", ":1"})
    EXPECT_THAT(ErrorOf({"--amqp-listen", address}), HasSubstr("an IP address and a port"));
  variables_["LANDFALL_SHARDS"] = "0";
  EXPECT_THAT(ErrorOf({}), HasSubstr("LANDFALL_SHARDS must be"));
}

TEST_F(ConfigTest, ChecksAVariableThatAFlagOverrules) {
  variables_["LANDFALL_WORKERS"] = "none";
  EXPECT_THAT(ErrorOf({"--workers", "1"}), HasSubstr("LANDFALL_WORKERS"));
}

TEST_F(ConfigTest, RefusesKeysOfTheWrongType) {
  EXPECT_THAT(ErrorOfFile("\nworkers = \"2\"\n"),
              AllOf(HasSubstr("landfall.toml:2: workers must be a whole number"),
                    HasSubstr("not the string \"2\"")));
  EXPECT_THAT(ErrorOfFile("amqp_listen = 5672\n"), HasSubstr("not the number 5672"));
  EXPECT_THAT(ErrorOfFile("vhosts = \"/\"\n"), HasSubstr("names of vhosts"));
  EXPECT_THAT(ErrorOfFile("vhosts = [1]\n"), HasSubstr("not a list"));
  EXPECT_THAT(ErrorOfFile("unsafe_no_sync = 1\n"), HasSubstr("true or false"));
  EXPECT_THAT(ErrorOfFile("workers = 2.5\n"), HasSubstr("not the number 2.5"));
  EXPECT_THAT(ErrorOfFile("data_dir = [\n"), HasSubstr("not TOML"));
}

TEST_F(ConfigTest, SaysWhichFileItCannotRead) {
  EXPECT_THAT(ErrorOf({"--config", "/nowhere/landfall.toml"}),
              HasSubstr("cannot read /nowhere/landfall.toml: No such file"));
  EXPECT_THAT(ErrorOf({"--config", directory_.path()}), HasSubstr("cannot read"));
}

TEST_F(ConfigTest, RefusesSegmentsLargerThanTheWindow) {
  EXPECT_THAT(ErrorOf({"--journal-window", "1MiB", "--segment-size", "2MiB"}),
              HasSubstr("segment_size"));
}

TEST_F(ConfigTest, DescribesItselfAsAFileThatGivesTheSameAgain) {
  auto request = Load({"--data-dir", "/da\"ta", "--amqp-listen", "[::]:5000", "--vhosts", "/,x",
                       "--segment-size", "100000", "--check-config"});
  ASSERT_TRUE(request);
  EXPECT_EQ(request->action, ConfigAction::kCheck);
  const std::string text = DescribeConfig(*request);
  EXPECT_THAT(text, HasSubstr("amqp_listen = \"[::]:5000\"  # from --amqp-listen\n"));
  EXPECT_THAT(text, HasSubstr("channel_max = 2047  # default\n"));

  auto again = Load({"--config", directory_.Write("again.toml", text)});
  ASSERT_TRUE(again) << again.error().message;
  again->origins.clear();
  request->origins.clear();
  EXPECT_EQ(DescribeConfig(*again), DescribeConfig(*request));
}

TEST_F(ConfigTest, ShowsHelpAndVersionWithoutNeedingAnythingElse) {
  const auto help = Load({"--help"});
  ASSERT_TRUE(help);
  EXPECT_EQ(help->action, ConfigAction::kShow);
  EXPECT_THAT(help->text, AllOf(HasSubstr("--amqp-listen HOST:PORT"), HasSubstr("--version"),
                                HasSubstr("Default: 128KiB.\n"), HasSubstr("--unsafe-no-sync"),
                                HasSubstr("LANDFALL_")));
  const auto version = Load({"--version"});
  ASSERT_TRUE(version);
  EXPECT_THAT(version->text, HasSubstr("landfalld " LANDFALL_VERSION));
}

TEST_F(ConfigTest, ListensWithTlsOnlyWhenToldTo) {
  EXPECT_EQ(Loaded({}).amqps_listen.host, "");
  const Config config =
      Loaded({"--amqps-listen", "[::]:5671", "--tls-certificate", "c.pem", "--tls-key", "k.pem",
              "--tls-verify", "required", "--tls-ca", "ca.pem"});
  EXPECT_EQ(config.amqps_listen.ToString(), "[::]:5671");
  EXPECT_EQ(config.tls_verify, TlsVerify::kRequired);
  EXPECT_EQ(config.tls_login_from, TlsLoginFrom::kCommonName);
  EXPECT_EQ(Loaded({"--amqps-listen", ""}).amqps_listen.host, "");
  EXPECT_EQ(Loaded({"--amqps-listen", "none"}).amqps_listen.host, "");
}

TEST_F(ConfigTest, SaysWhatTlsNeeds) {
  EXPECT_THAT(ErrorOf({"--amqps-listen", "0.0.0.0:5671"}),
              HasSubstr("amqps_listen needs tls_certificate and tls_key"));
  EXPECT_THAT(ErrorOf({"--https-listen", "[::]:15671", "--tls-key", "k.pem"}),
              HasSubstr("https_listen needs tls_certificate and tls_key"));
  const std::vector<std::string> tls{
      "--amqps-listen", "0.0.0.0:5671", "--tls-certificate", "c", "--tls-key", "k"};
  auto verify = tls;
  verify.insert(verify.end(), {"--tls-verify", "optional"});
  EXPECT_THAT(ErrorOf(verify), HasSubstr("tls_verify needs tls_ca"));
  auto ca = tls;
  ca.insert(ca.end(), {"--tls-ca", "ca.pem"});
  EXPECT_THAT(ErrorOf(ca), HasSubstr("tls_ca is used with tls_verify optional or required only"));
}

}  // namespace
}  // namespace landfall::server
