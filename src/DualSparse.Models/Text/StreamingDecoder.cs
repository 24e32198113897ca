using System.Text;

namespace DualSparse.Models.Text;

/// <summary>
/// Turns ids into text one at a time. A piece of text comes out as soon as no later id can change it: the bytes of an unfinished
/// character are held back. All pieces together are what <see cref="Tokenizer.Decode"/> gives. One sequence, one thread.
/// </summary>
internal sealed class StreamingDecoder
{
    private readonly Tokenizer tokenizer;
    private readonly TokenDecoder rules;
    private readonly bool skipSpecial;
    private readonly Decoder utf8 = Encoding.UTF8.GetDecoder();
    private readonly byte[] held = new byte[4];
    private readonly StringBuilder output = new();
    private int heldCount;
    private int toStrip;
    private bool started;

    /// <summary>Starts a text.</summary>
    /// <param name="tokenizer">Whose ids these are.</param>
    /// <param name="skipSpecial">Special tokens give no text.</param>
    public StreamingDecoder(Tokenizer tokenizer, bool skipSpecial = false)
    {
        ArgumentNullException.ThrowIfNull(tokenizer);
        (this.tokenizer, this.skipSpecial) = (tokenizer, skipSpecial);
        rules = tokenizer.Decoder;
        toStrip = rules.StripCount;
    }

    /// <summary>Takes the next id; one that no token has says nothing.</summary>
    /// <returns>The text that became final, often empty.</returns>
    public string Push(int id)
    {
        Append(id);
        return TakeOutput();
    }

    /// <summary>Ends the text: what was held back comes out as U+FFFD. The next id starts another text.</summary>
    public string Flush()
    {
        Finish();
        string rest = TakeOutput();
        toStrip = rules.StripCount;
        started = false;
        return rest;
    }

    /// <summary>Decodes a whole sequence.</summary>
    internal string Decode(ReadOnlySpan<int> ids)
    {
        foreach (int id in ids)
        {
            Append(id);
        }

        return Flush();
    }

    private string TakeOutput()
    {
        string text = output.ToString();
        output.Clear();
        return text;
    }

    private void Append(int id)
    {
        if (skipSpecial && tokenizer.IsSpecial(id))
        {
            return;
        }

        if (rules.ByteLevel)
        {
            AppendUtf8(tokenizer.TokenBytes(id), flush: false);
            return;
        }

        if (tokenizer.TokenText(id) is not string token)
        {
            return;
        }

        bool first = !started;
        started = true;
        if (first && rules.FirstTokenDrops is string dropped)
        {
            token = token.Replace(dropped, "", StringComparison.Ordinal);
        }

        token = rules.Replace(token);
        if (rules.ByteFallback && TokenDecoder.FallbackByte(token) is int value and >= 0)
        {
            held[heldCount++] = (byte)value;
            ReleaseHeld(final: false);
            return;
        }

        ReleaseHeld(final: true);
        AppendText(rules.JoinWithSpaces && !first ? " " + token : token);
    }

    private void Finish()
    {
        ReleaseHeld(final: true);
        AppendUtf8([], flush: true);
    }

    private void AppendUtf8(ReadOnlySpan<byte> bytes, bool flush)
    {
        Span<char> characters = stackalloc char[256];
        bool completed;
        do
        {
            utf8.Convert(bytes, characters, flush, out int used, out int written, out completed);
            output.Append(characters[..written]);
            bytes = bytes[used..];
        }
        while (!completed);
    }

    /// <summary>Gives out what is certain of the held bytes: whole characters, and U+FFFD for each byte that can't belong to one.</summary>
    private void ReleaseHeld(bool final)
    {
        while (heldCount > 0)
        {
            System.Buffers.OperationStatus status = Rune.DecodeFromUtf8(held.AsSpan(0, heldCount), out Rune rune, out int used);
            if (status == System.Buffers.OperationStatus.NeedMoreData && !final)
            {
                return;
            }

            if (status != System.Buffers.OperationStatus.Done)
            {
                (rune, used) = (Rune.ReplacementChar, 1);
            }

            AppendText(rune.ToString());
            heldCount -= used;
            held.AsSpan(used, heldCount).CopyTo(held);
        }
    }

    private void AppendText(string text)
    {
        int start = 0;
        while (toStrip > 0 && start < text.Length && text[start] == rules.StripCharacter)
        {
            start++;
            toStrip--;
        }

        if (start < text.Length)
        {
            toStrip = 0;
            output.Append(text, start, text.Length - start);
        }
    }
}
