#include "admin/static_files.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sodium.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string_view>
#include <utility>

namespace landfall::admin {
namespace fs = std::filesystem;

namespace {

constexpr std::string_view kIndex = "index.html";
// Where the build puts what has a hash in its name.
constexpr std::string_view kAssets = "assets";

// Nothing but what we serve ourselves: no script or style that came with a message, a name or from
// elsewhere, no page around ours.
constexpr const char* kContentSecurityPolicy =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "font-src 'self'; connect-src 'self'; manifest-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'";

struct MediaType {
  std::string_view extension;
  const char* type;
};
constexpr MediaType kMediaTypes[] = {
    {".html", "text/html; charset=utf-8"},
    {".js", "text/javascript; charset=utf-8"},
    {".mjs", "text/javascript; charset=utf-8"},
    {".css", "text/css; charset=utf-8"},
    {".json", "application/json"},
    {".webmanifest", "application/manifest+json"},
    {".svg", "image/svg+xml"},
    {".png", "image/png"},
    {".ico", "image/x-icon"},
    {".woff2", "font/woff2"},
    {".txt", "text/plain; charset=utf-8"},
};

const char* TypeOf(const fs::path& path) {
  for (const auto& [extension, type] : kMediaTypes)
    if (path.extension() == extension) return type;
  return "application/octet-stream";
}

std::string EtagOf(std::string_view body) {
  std::array<unsigned char, 16> digest{};
  crypto_generichash(digest.data(), digest.size(),
                     reinterpret_cast<const unsigned char*>(body.data()), body.size(), nullptr, 0);
  return fmt::format("\"{:02x}\"", fmt::join(digest, ""));
}

std::unexpected<Error> Refuse(std::string message) {
  return Fail(ErrorCode::kInvalidArgument, std::move(message));
}

bool HasDot(std::string_view segment) { return segment.find('.') != std::string_view::npos; }

// Of If-None-Match: whether one of the tags in it is ours. Weak ones will do.
bool Matches(std::string_view header, std::string_view etag) {
  return header == "*" || header.find(etag) != std::string_view::npos;
}

}  // namespace

Result<void> StaticFiles::Load(const std::string& directory) {
  std::map<std::string, File> files;
  uint64_t total = 0;
  std::error_code error;
  auto entry = fs::recursive_directory_iterator(directory, error);
  for (; !error && entry != fs::recursive_directory_iterator(); entry.increment(error)) {
    std::error_code unreadable;
    if (entry->is_symlink(unreadable) || !entry->is_regular_file(unreadable)) continue;
    total += entry->file_size(unreadable);
    if (total > kMaxBytes || unreadable)
      return Refuse(fmt::format("{} cannot be read, or holds more than {} MiB: is it the console?",
                                directory, kMaxBytes >> 20));
    std::ifstream in(entry->path(), std::ios::binary);
    std::string body{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
    if (!in) return Refuse(fmt::format("{} cannot be read", entry->path().string()));
    const fs::path path = entry->path().lexically_relative(directory);
    File file{.body = std::move(body), .content_type = TypeOf(path), .etag = ""};
    file.etag = EtagOf(file.body);
    file.is_immutable = *path.begin() == kAssets;
    files.insert_or_assign(path.string(), std::move(file));
  }
  if (error) return Refuse(fmt::format("console_directory: {}: {}", directory, error.message()));
  if (!files.contains(std::string(kIndex)))
    return Refuse(fmt::format("console_directory: there is no {} in {}", kIndex, directory));
  files_ = std::move(files);
  return {};
}

const StaticFiles::File* StaticFiles::Find(const Request& request) const {
  const std::vector<std::string>& path = request.target.path;
  const auto it = files_.find(fmt::format("{}", fmt::join(path, "/")));
  // A segment with a slash in it, encoded, is a name and no path.
  const bool is_plain = std::ranges::none_of(
      path, [](const std::string& s) { return s.find('/') != std::string::npos; });
  if (is_plain && it != files_.end()) return &it->second;
  const bool is_page =
      path.empty() ||
      (path.front() != kAssets &&
       (!HasDot(path.back()) || request.accept.find("text/html") != std::string::npos));
  return is_page ? &files_.at(std::string(kIndex)) : nullptr;
}

Reply StaticFiles::Serve(const Request& request) const {
  if (request.method != "GET" && request.method != "HEAD") {
    Reply reply = ErrorReply(405, "method_not_allowed", "this path takes GET");
    reply.headers.emplace_back("Allow", "GET, HEAD");
    return reply;
  }
  const File* file = Find(request);
  if (file == nullptr) return NotFound("the console has no such file");
  Reply reply{.content_type = file->content_type};
  reply.headers = {
      {"ETag", file->etag},
      {"Cache-Control", file->is_immutable ? "public, max-age=31536000, immutable" : "no-cache"},
      {"Content-Security-Policy", kContentSecurityPolicy},
      {"Cross-Origin-Opener-Policy", "same-origin"},
      {"Cross-Origin-Resource-Policy", "same-origin"},
      {"Referrer-Policy", "no-referrer"},
      {"X-Frame-Options", "DENY"}};
  if (Matches(request.if_none_match, file->etag)) {
    reply.status = 304;
    reply.content_type = "";
  } else {
    reply.body = file->body;
  }
  return reply;
}

}  // namespace landfall::admin
