#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "admin/reply.h"
#include "admin/request.h"
#include "base/error.h"

namespace landfall::admin {

// The console's files, as they were when they were read, served to anybody: what is in them is no
// secret, and the page asks for a login itself. A request is looked up among the names that were
// found, so that no path leads out of the directory.
//
// Thread: any, once loaded.
class StaticFiles {
 public:
  static constexpr uint64_t kMaxBytes = uint64_t{32} << 20;

  // Reads the directory, which has an index.html. Links are left out. kInvalidArgument, naming what
  // is wrong.
  Result<void> Load(const std::string& directory);
  bool empty() const { return files_.empty(); }

  // A path that the API does not serve. Of a page within the console the path is known only to the
  // page: it gets index.html, and so does "/".
  Reply Serve(const Request& request) const;

 private:
  struct File {
    std::string body;
    std::string content_type;
    std::string etag;
    // Its name changes with what is in it.
    bool is_immutable = false;
  };

  const File* Find(const Request& request) const;

  std::map<std::string, File> files_;  // by path, "assets/index-1a2b3c4d.js"
};

}  // namespace landfall::admin
