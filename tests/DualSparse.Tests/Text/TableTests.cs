using System.Text;
using DualSparse.Models.Text;

namespace DualSparse.Tests.Text;

/// <summary>The tables of tokens and merges against dictionaries, grown from small and with entries that come twice.</summary>
public class TableTests
{
    [Fact]
    public void A_vocabulary_holds_what_a_dictionary_would()
    {
        var random = new Random(7);
        var vocabulary = new Vocabulary(0);
        Dictionary<string, int> ids = [];
        Dictionary<int, string> tokens = [];
        for (int i = 0; i < 20_000; i++)
        {
            // Texts of 0 to 19 characters out of few, ids with gaps: both come again.
            string token = string.Concat(Enumerable.Range(0, random.Next(20)).Select(_ => "ab é中🙂".EnumerateRunes().ElementAt(random.Next(6))));
            int id = random.Next(50) == 0 ? random.Next(Vocabulary.MaxIds) : random.Next(30_000);
            bool fresh = !ids.ContainsKey(token) && !tokens.ContainsKey(id);
            if (fresh)
            {
                (ids[token], tokens[id]) = (id, token);
            }

            Assert.Equal(fresh, vocabulary.TryAdd(token, id));
            Assert.Equal(ids.GetValueOrDefault(token, -1), vocabulary.Id(token));
            Assert.Equal(tokens.GetValueOrDefault(id), vocabulary.Token(id));
        }

        Assert.Equal((ids.Count, tokens.Keys.Max() + 1), (vocabulary.Count, vocabulary.Size));
        Assert.All(ids, entry => Assert.Equal(entry.Value, vocabulary.Id(Encoding.UTF8.GetBytes(entry.Key))));
        Assert.All(Enumerable.Range(-1, 30_002), id => Assert.Equal(tokens.GetValueOrDefault(id), vocabulary.Token(id)));
        Assert.Equal(ids.Keys, Enumerable.Range(0, vocabulary.Count).Select(entry => Encoding.UTF8.GetString(vocabulary.Utf8(entry))));
        Assert.Equal(-1, vocabulary.Id("c"));
        Assert.Equal(-1, vocabulary.Entry(int.MaxValue));
    }

    [Fact]
    public void Merges_hold_what_a_dictionary_would()
    {
        var random = new Random(8);
        var merges = new MergeTable();
        Dictionary<(int Left, int Right), int> ranks = [];
        for (int rank = 0; rank < 20_000; rank++)
        {
            var pair = (random.Next(150), random.Next(150));
            ranks[pair] = rank;
            merges.Add(pair.Item1, pair.Item2, rank * 3);
        }

        Assert.Equal(20_000, merges.Count);
        for (int left = 0; left < 151; left++)
        {
            for (int right = 0; right < 151; right++)
            {
                int rank = merges.Rank(left, right);
                Assert.Equal(ranks.GetValueOrDefault((left, right), MergeTable.NoMerge), rank);
                Assert.True(rank == MergeTable.NoMerge || merges.Merged(rank) == rank * 3);
            }
        }
    }
}
