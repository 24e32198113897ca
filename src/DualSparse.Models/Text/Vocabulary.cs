namespace DualSparse.Models.Text;

/// <summary>Tokens and their ids, both ways. Ids need not be dense.</summary>
internal sealed class Vocabulary
{
    /// <summary>One past the highest id taken: sixteen times the largest vocabulary of today, and 32 MiB of references.</summary>
    public const int MaxIds = 1 << 22;

    private readonly Dictionary<string, int> _ids;
    private readonly Dictionary<string, int>.AlternateLookup<ReadOnlySpan<char>> _lookup;
    private string?[] _tokens;

    /// <summary>Makes an empty vocabulary with room for <paramref name="capacity"/> tokens.</summary>
    public Vocabulary(int capacity)
    {
        _ids = new(capacity, StringComparer.Ordinal);
        _lookup = _ids.GetAlternateLookup<ReadOnlySpan<char>>();
        _tokens = new string?[Math.Clamp(capacity, 256, MaxIds)];
    }

    /// <summary>How many tokens there are.</summary>
    public int Count => _ids.Count;

    /// <summary>One past the highest id.</summary>
    public int Size { get; private set; }

    /// <summary>All tokens with their ids, in the order in which they were added.</summary>
    public IEnumerable<KeyValuePair<string, int>> Entries => _ids;

    /// <summary>Adds a token; false where the token or the id is there already.</summary>
    public bool TryAdd(string token, int id)
    {
        if (id >= _tokens.Length)
        {
            Array.Resize(ref _tokens, Math.Min(MaxIds, Math.Max(id + 1, _tokens.Length * 2)));
        }

        if (_tokens[id] is not null || !_ids.TryAdd(token, id))
        {
            return false;
        }

        _tokens[id] = token;
        Size = Math.Max(Size, id + 1);
        return true;
    }

    /// <summary>The token of <paramref name="id"/>; null where no token has this id.</summary>
    public string? Token(int id) => (uint)id < (uint)Size ? _tokens[id] : null;

    /// <summary>The id of <paramref name="token"/>, or -1.</summary>
    public int Id(ReadOnlySpan<char> token) => _lookup.TryGetValue(token, out int id) ? id : -1;
}
