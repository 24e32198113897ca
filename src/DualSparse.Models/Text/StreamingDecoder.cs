using System.Text;

namespace DualSparse.Models.Text;

/// <summary>
/// Turns ids into text one at a time. A piece of text comes out as soon as no later id can change it: the bytes of an unfinished
/// character are held back. All pieces together are what <see cref="Tokenizer.Decode"/> gives. One sequence, one thread.
/// </summary>
public sealed class StreamingDecoder
{
    private readonly Tokenizer _tokenizer;
    private readonly TokenDecoder _rules;
    private readonly bool _skipSpecial;
    private readonly Decoder _utf8 = Encoding.UTF8.GetDecoder();
    private readonly byte[] _held = new byte[4];
    private readonly StringBuilder _output = new();
    private int _heldCount;
    private int _toStrip;
    private bool _started;

    /// <summary>Starts a text.</summary>
    /// <param name="tokenizer">Whose ids these are.</param>
    /// <param name="skipSpecial">Special tokens give no text.</param>
    public StreamingDecoder(Tokenizer tokenizer, bool skipSpecial = false)
    {
        ArgumentNullException.ThrowIfNull(tokenizer);
        _tokenizer = tokenizer;
        _rules = tokenizer.Decoder;
        _skipSpecial = skipSpecial;
        _toStrip = _rules.StripCount;
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
        _toStrip = _rules.StripCount;
        _started = false;
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
        string text = _output.ToString();
        _output.Clear();
        return text;
    }

    private void Append(int id)
    {
        if (_skipSpecial && _tokenizer.IsSpecial(id))
        {
            return;
        }

        if (_rules.ByteLevel)
        {
            AppendUtf8(_tokenizer.TokenBytes(id), flush: false);
            return;
        }

        if (_tokenizer.TokenText(id) is not string token)
        {
            return;
        }

        bool first = !_started;
        _started = true;
        if (first && _rules.FirstTokenDrops is string dropped)
        {
            token = token.Replace(dropped, "", StringComparison.Ordinal);
        }

        foreach ((string from, string to) in _rules.Replacements)
        {
            token = token.Replace(from, to, StringComparison.Ordinal);
        }

        if (_rules.ByteFallback && TokenDecoder.FallbackByte(token) is int value and >= 0)
        {
            _held[_heldCount++] = (byte)value;
            ReleaseHeld(final: false);
            return;
        }

        ReleaseHeld(final: true);
        AppendText(_rules.JoinWithSpaces && !first ? " " + token : token);
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
            _utf8.Convert(bytes, characters, flush, out int used, out int written, out completed);
            _output.Append(characters[..written]);
            bytes = bytes[used..];
        }
        while (!completed);
    }

    /// <summary>Gives out what is certain of the held bytes: whole characters, and U+FFFD for each byte that can't belong to one.</summary>
    private void ReleaseHeld(bool final)
    {
        while (_heldCount > 0)
        {
            System.Buffers.OperationStatus status = Rune.DecodeFromUtf8(_held.AsSpan(0, _heldCount), out Rune rune, out int used);
            if (status == System.Buffers.OperationStatus.NeedMoreData && !final)
            {
                return;
            }

            if (status != System.Buffers.OperationStatus.Done)
            {
                (rune, used) = (Rune.ReplacementChar, 1);
            }

            AppendText(rune.ToString());
            _heldCount -= used;
            _held.AsSpan(used, _heldCount).CopyTo(_held);
        }
    }

    private void AppendText(string text)
    {
        int start = 0;
        while (_toStrip > 0 && start < text.Length && text[start] == _rules.StripCharacter)
        {
            start++;
            _toStrip--;
        }

        if (start < text.Length)
        {
            _toStrip = 0;
            _output.Append(text, start, text.Length - start);
        }
    }
}
