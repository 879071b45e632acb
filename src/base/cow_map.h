#pragma once

#include <array>
#include <atomic>
#include <boost/smart_ptr/intrusive_ptr.hpp>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace landfall {

// How a CowMap looks up a key of type K without making one, and how it spreads them.
template <class K>
struct CowKey {
  using Lookup = const K&;
  // Murmur's finalizer: the identity, which std::hash is for integers, would put neighbours into
  // one branch of the tree.
  static uint64_t Hash(const K& key) {
    uint64_t h = std::hash<K>{}(key);
    h = (h ^ (h >> 33)) * 0xff51afd7ed558ccdULL;
    h = (h ^ (h >> 33)) * 0xc4ceb9fe1a85ec53ULL;
    return h ^ (h >> 33);
  }
};

template <>
struct CowKey<std::string> {
  using Lookup = std::string_view;
  static uint64_t Hash(std::string_view key) { return std::hash<std::string_view>{}(key); }
};

// A hash map that is a value: copying it takes constant time, and a change afterwards copies only
// the nodes on the way to the changed entry (a few dozen pointers and at most kLeafEntries entries,
// however large the map), so that a writer can publish snapshots of it all the time. Nodes that no
// other copy shares are changed in place.
//
// A tree: an inner node has 32 branches, chosen by five bits of the hash; a leaf has up to
// kLeafEntries entries and is split when it grows beyond.
//
// Thread: one CowMap object is like any value, but copies of it may be read, changed and destroyed
// on different threads at the same time. A pointer to a value lives until the map it came from
// changes or ends.
template <class K, class V, class Key = CowKey<K>>
class CowMap {
 public:
  using Lookup = typename Key::Lookup;

  CowMap() = default;
  CowMap(const CowMap&) = default;
  CowMap& operator=(const CowMap&) = default;
  CowMap(CowMap&& other) noexcept
      : root_(std::move(other.root_)), size_(std::exchange(other.size_, 0)) {}
  CowMap& operator=(CowMap&& other) noexcept {
    root_ = std::move(other.root_);
    size_ = std::exchange(other.size_, 0);
    return *this;
  }

  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }

  // nullptr if there is none.
  const V* Find(Lookup key) const {
    const uint64_t hash = Key::Hash(key);
    const Node* node = root_.get();
    for (int shift = 0; node != nullptr; shift += kBits) {
      if (node->is_leaf) {
        const size_t i = IndexOf(*AsLeaf(node), hash, key);
        return i == kNone ? nullptr : &AsLeaf(node)->entries[i].value;
      }
      node = AsInner(node)->children[Branch(hash, shift)].get();
    }
    return nullptr;
  }
  bool Contains(Lookup key) const { return Find(key) != nullptr; }

  // Adds or replaces. True if the key is new.
  bool Set(Lookup key, V value) {
    const size_t before = size_;
    *Place(key) = std::move(value);
    return size_ != before;
  }

  // The value of the key, made by V() if there is none, to be changed in place.
  V& At(Lookup key) { return *Place(key); }

  // False if there was none.
  bool Erase(Lookup key) {
    if (Find(key) == nullptr) return false;  // nothing to detach
    EraseFrom(root_, Key::Hash(key), key, 0);
    --size_;
    return true;
  }

  void Clear() {
    root_.reset();
    size_ = 0;
  }

  // visit(const K&, const V&) for every entry, in no order that means anything.
  template <class Visit>
  void ForEach(Visit&& visit) const {
    if (root_) VisitAll(root_.get(), visit);
  }

  // Any one entry (key, value), or nulls when empty.
  std::pair<const K*, const V*> Any() const {
    const Node* node = root_.get();
    if (node == nullptr) return {};
    while (!node->is_leaf) {
      for (const NodeRef& child : AsInner(node)->children) {
        if (child) {
          node = child.get();
          break;
        }
      }
    }
    const Entry& entry = AsLeaf(node)->entries.front();
    return {&entry.key, &entry.value};
  }

 private:
  static constexpr int kBits = 5;
  static constexpr size_t kBranches = size_t{1} << kBits;
  static constexpr size_t kLeafEntries = 8;
  // An inner node that holds no more than this becomes a leaf again; less than kLeafEntries, so
  // that a map at the border does not turn at every change.
  static constexpr size_t kMergeEntries = 4;
  static constexpr size_t kNone = ~size_t{0};

  struct Node {
    explicit Node(bool leaf) : is_leaf(leaf) {}
    // A copy starts without references of its own.
    Node(const Node& other) : is_leaf(other.is_leaf) {}
    Node& operator=(const Node&) = delete;

    friend void intrusive_ptr_add_ref(const Node* n) {
      n->references.fetch_add(1, std::memory_order_relaxed);
    }
    friend void intrusive_ptr_release(const Node* n) {
      if (n->references.fetch_sub(1, std::memory_order_acq_rel) == 1) Destroy(n);
    }
    static void Destroy(const Node* n) {
      if (n->is_leaf) {
        delete AsLeaf(n);
      } else {
        delete AsInner(n);
      }
    }

    mutable std::atomic<uint32_t> references{0};
    const bool is_leaf;
  };
  using NodeRef = boost::intrusive_ptr<Node>;

  struct Entry {
    uint64_t hash;
    K key;
    V value;
  };
  struct Leaf : Node {
    Leaf() : Node(true) {}
    std::vector<Entry> entries;  // never empty
  };
  struct Inner : Node {
    Inner() : Node(false) {}
    size_t count = 0;  // entries below; never 0
    std::array<NodeRef, kBranches> children;
  };

  static const Leaf* AsLeaf(const Node* n) { return static_cast<const Leaf*>(n); }
  static const Inner* AsInner(const Node* n) { return static_cast<const Inner*>(n); }
  static size_t Branch(uint64_t hash, int shift) { return (hash >> shift) & (kBranches - 1); }

  static size_t IndexOf(const Leaf& leaf, uint64_t hash, Lookup key) {
    for (size_t i = 0; i < leaf.entries.size(); ++i) {
      if (leaf.entries[i].hash == hash && leaf.entries[i].key == key) return i;
    }
    return kNone;
  }

  // The node behind `ref`, safe to change: itself if nobody shares it, otherwise a copy that takes
  // its place. The load acquires: whoever gave up the last other reference has finished reading.
  template <class T>
  static T* Own(NodeRef& ref) {
    if (ref->references.load(std::memory_order_acquire) != 1) {
      ref = NodeRef(new T(*static_cast<const T*>(ref.get())));
    }
    return static_cast<T*>(ref.get());
  }

  V* Place(Lookup key) {
    const uint64_t hash = Key::Hash(key);
    // Whether the counts on the way down will grow must be known before they are touched.
    const bool is_new = Find(key) == nullptr;
    size_ += is_new;
    NodeRef* at = &root_;
    int shift = 0;
    while (true) {
      if (!*at) *at = NodeRef(new Leaf);
      if (!(*at)->is_leaf) {
        Inner* inner = Own<Inner>(*at);
        inner->count += is_new;
        at = &inner->children[Branch(hash, shift)];
        shift += kBits;
        continue;
      }
      const Leaf* leaf = AsLeaf(at->get());
      // Below the last bits of the hash only equal hashes are left: such a leaf just grows.
      if (is_new && leaf->entries.size() >= kLeafEntries && shift < 64) {
        *at = Split(at, shift);
        continue;
      }
      Leaf* own = Own<Leaf>(*at);
      if (is_new) {
        own->entries.push_back(Entry{hash, K(key), V()});
        return &own->entries.back().value;
      }
      return &own->entries[IndexOf(*own, hash, key)].value;
    }
  }

  static NodeRef Split(NodeRef* leaf_ref, int shift) {
    Leaf* leaf = Own<Leaf>(*leaf_ref);
    auto* inner = new Inner;
    inner->count = leaf->entries.size();
    for (Entry& entry : leaf->entries) {
      NodeRef& child = inner->children[Branch(entry.hash, shift)];
      if (!child) child = NodeRef(new Leaf);
      static_cast<Leaf*>(child.get())->entries.push_back(std::move(entry));
    }
    return NodeRef(inner);
  }

  // The key is there.
  static void EraseFrom(NodeRef& ref, uint64_t hash, Lookup key, int shift) {
    if (ref->is_leaf) {
      if (AsLeaf(ref.get())->entries.size() == 1) {
        ref.reset();
        return;
      }
      Leaf* leaf = Own<Leaf>(ref);
      const size_t i = IndexOf(*leaf, hash, key);
      if (i + 1 != leaf->entries.size()) leaf->entries[i] = std::move(leaf->entries.back());
      leaf->entries.pop_back();
      return;
    }
    Inner* inner = Own<Inner>(ref);
    EraseFrom(inner->children[Branch(hash, shift)], hash, key, shift + kBits);
    if (--inner->count > kMergeEntries) return;
    NodeRef merged(new Leaf);
    auto collect = [&](const Entry& entry) {
      static_cast<Leaf*>(merged.get())->entries.push_back(entry);
    };
    VisitEntries(inner, collect);
    ref = std::move(merged);
  }

  template <class Visit>
  static void VisitEntries(const Node* node, Visit& visit) {
    if (node->is_leaf) {
      for (const Entry& entry : AsLeaf(node)->entries) visit(entry);
      return;
    }
    for (const NodeRef& child : AsInner(node)->children) {
      if (child) VisitEntries(child.get(), visit);
    }
  }
  template <class Visit>
  static void VisitAll(const Node* node, Visit& visit) {
    auto each = [&](const Entry& entry) { visit(entry.key, entry.value); };
    VisitEntries(node, each);
  }

  NodeRef root_;
  size_t size_ = 0;
};

}  // namespace landfall
