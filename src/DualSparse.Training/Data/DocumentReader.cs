using System.Security.Cryptography;
using System.Text;
using DualSparse.Models;

namespace DualSparse.Training.Data;

/// <summary>
/// Reads a UTF-8 file of any length as documents: a line <c>&lt;|endoftext|&gt;</c> ends one, the file's end another; line ends around a document
/// aren't part of it, and empty ones are none. Long documents come in pieces, so that no file has to fit into memory.
/// </summary>
/// <param name="path">The file.</param>
/// <param name="mayCut">Whether a text may be cut between two neighbouring parts without changing its tokens.</param>
internal sealed class DocumentReader(string path, Func<string, string, bool> mayCut)
{
    /// <summary>What ends a document.</summary>
    public const string EndOfText = "<|endoftext|>";

    // Bytes read at a time, at least.
    private const int BlockBytes = 1 << 16;

    // A document beyond this is cut: some tens of thousands of tokens, a few milliseconds of a tokenizer's work.
    private const int PieceBytes = 1 << 18;

    // What is looked at on either side of a cut, much longer than any word, and how many cuts are tried before the piece grows on.
    private const int SeamBytes = 1 << 10, Cuts = 8;

    private static readonly byte[] s_endOfText = Encoding.UTF8.GetBytes(EndOfText);

    private byte[] buffer = new byte[4 * BlockBytes];

    // In the buffer: the document's bytes that nobody has yet, those of them that are whole lines, and the end of what is read.
    private int begin, lines, end;

    // Where in the file the buffer begins.
    private long offset;

    // Whether the document has given a piece already; beyond how many bytes it is cut next.
    private bool begun;
    private int next = PieceBytes;

    /// <summary>Length and hash, once all pieces have been read.</summary>
    public TextFileFacts? Facts { get; private set; }

    /// <summary>Bytes read so far.</summary>
    public long BytesRead { get; private set; }

    /// <summary>The documents' pieces in order.</summary>
    /// <exception cref="ModelFormatException">The file can't be read, or isn't UTF-8.</exception>
    public IEnumerable<TextPiece> Read()
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        using var file = Open();
        while (Fill(file, hash) is var read)
        {
            for (int line; (line = buffer.AsSpan(lines, end - lines).IndexOf((byte)'\n')) >= 0 || read == 0 && lines < end;)
            {
                int after = line < 0 ? end : lines + line + 1;
                bool ends = buffer.AsSpan(lines, after - lines).TrimEnd("\r\n"u8).SequenceEqual(s_endOfText);
                if (ends && Document(lines) is { } document)
                    yield return document;
                lines = after;
                if (ends)
                    begin = lines;
            }

            if (read == 0)
                break;
            if (lines - begin > next && Cut() is { } piece)
                yield return piece;
        }

        if (Document(end) is { } last)
            yield return last;
        Facts = new TextFileFacts(Path.GetFullPath(path), BytesRead, Convert.ToHexStringLower(hash.GetHashAndReset()));
    }

    private FileStream Open()
    {
        try
        {
            return new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read, bufferSize: 0);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw ModelFormatException.Unreadable(path, e);
        }
    }

    // Reads on; 0 at the file's end.
    private int Fill(FileStream file, IncrementalHash hash)
    {
        buffer.AsSpan(begin, end - begin).CopyTo(buffer);
        (offset, lines, end, begin) = (offset + begin, lines - begin, end - begin, 0);
        if (buffer.Length - end < BlockBytes)
            Array.Resize(ref buffer, 2 * buffer.Length);
        try
        {
            int read = file.ReadAtLeast(buffer.AsSpan(end), BlockBytes, throwOnEndOfStream: false);
            hash.AppendData(buffer, end, read);
            if (BytesRead == 0)
            {
                // A character may be cut where the block ends.
                int whole = Enumerable.Range(Math.Max(0, read - 3), Math.Min(4, read + 1)).Reverse().FirstOrDefault(n => Rune.DecodeLastFromUtf8(buffer.AsSpan(0, n), out _, out _) == 0);
                whole = whole > 0 ? whole : read;
                begin = lines = whole - Utf8Text.Check(buffer.AsSpan(0, whole), path).Length;
            }

            BytesRead += read;
            end += read;
            return read;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw ModelFormatException.Unreadable(path, e);
        }
    }

    // The rest of a document, which ends at a place in the buffer; null where it is empty.
    private TextPiece? Document(int until)
    {
        string text = TextOf(begin, until).TrimEnd('\n', '\r');
        if (!begun)
            text = text.TrimStart('\n', '\r');
        bool any = begun || text.Length > 0;
        (begun, next, begin) = (false, PieceBytes, until);
        return any ? new TextPiece(text, EndsDocument: true) : null;
    }

    // A piece up to one of the last line ends that may be cut before; null: none was found, and the document goes on.
    private TextPiece? Cut()
    {
        int place = lines - SeamBytes;
        for (int tries = 0; tries < Cuts && (place = buffer.AsSpan(begin, place - begin).LastIndexOf((byte)'\n') + begin) > begin + SeamBytes; tries++)
        {
            if (!mayCut(TextOf(Character(place - SeamBytes), place), TextOf(place, Character(place + SeamBytes))))
                continue;
            string text = TextOf(begin, place);
            if (!begun)
                text = text.TrimStart('\n', '\r');
            (begun, next, begin) = (true, PieceBytes, place);
            return new TextPiece(text, EndsDocument: false);
        }

        next = lines - begin + PieceBytes;
        return null;
    }

    // The beginning of the character that a byte belongs to.
    private int Character(int place)
    {
        while (place > begin && (buffer[place] & 0xC0) == 0x80)
            place--;
        return place;
    }

    private string TextOf(int from, int to)
    {
        var bytes = buffer.AsSpan(from, to - from);
        Utf8Text.RequireValid(bytes, path, offset + from);
        return Encoding.UTF8.GetString(bytes);
    }
}
