using DualSparse.Models.Pictures;

namespace DualSparse.Engine.Vision;

/// <summary>What a model has read of pictures, for those that come again: a conversation has its pictures in every prompt. The least lately used go first. For one thread at a time.</summary>
internal sealed class PictureMemory
{
    // Some pictures of a large model; a small one's by the thousand.
    private const long MostBytes = 256 << 20;

    private readonly LinkedList<PictureRows> byUse = [];
    private readonly Dictionary<PictureDigest, LinkedListNode<PictureRows>> known = [];
    private long bytes;

    /// <summary>A picture's rows: known ones, or new ones.</summary>
    /// <param name="picture">The picture.</param>
    /// <param name="encode">Computes them.</param>
    public PictureRows Get(PicturePatches picture, Func<PicturePatches, PictureRows> encode)
    {
        var digest = picture.Digest;
        if (known.TryGetValue(digest, out var node))
        {
            byUse.Remove(node);
            byUse.AddLast(node);
            return node.Value;
        }

        var rows = encode(picture);
        known.Add(digest, byUse.AddLast(rows));
        bytes += rows.Bytes;
        while (bytes > MostBytes && byUse.Count > 1)
        {
            var oldest = byUse.First!.Value;
            bytes -= oldest.Bytes;
            known.Remove(oldest.Digest!.Value);
            byUse.RemoveFirst();
        }

        return rows;
    }
}
