using System.Text;

namespace DualSparse.Fuzz;

/// <summary>Damages a sound input: bytes anywhere, and JSON where it hurts (numbers, keys, types, nesting, repetition).</summary>
internal static class Mutator
{
    private static readonly byte[][] Values =
    [
        .. new[]
        {
            "-1", "0", "1", "2", "3", "7", "1e3", "0.5", "-0.0", "1e308", "1e999", "2147483647", "2147483648", "4294967296", "9223372036854775807",
            "9223372036854775808", "18446744073709551615", "18446744073709551616", "1000000000000", "null", "true", "false", "[]", "{}", "[[]]",
            "\"\"", "\"\\ud800\"", "\"\\u0000\"", "\"..\"", "\"../x\"", "\"/etc/passwd\"", "\"yarn\"", "\"linear\"", "\"llama3\"", "\"dynamic\"",
            "\"F32\"", "\"F4\"", "\"F64\"", "\"sliding_attention\"", "\"group_limited_greedy\"", "NaN", "Infinity", "[1,2]", "{\"a\":1}", "[0,0]",
        }.Select(Encoding.UTF8.GetBytes),
    ];

    private static readonly byte[] Strange = [0, 1, 0x7F, 0x80, 0xC0, 0xED, 0xFF, (byte)'"', (byte)'\\', (byte)'{', (byte)'}', (byte)'[', (byte)']', (byte)',', (byte)':', (byte)' '];

    /// <summary>One of the seeds with one to four damages.</summary>
    public static byte[] Mutate(Random random, byte[][] seeds)
    {
        byte[] input = seeds[random.Next(seeds.Length)];
        for (int damages = random.Next(2) == 0 ? 1 : random.Next(2, 5); damages > 0; damages--)
            input = Damage(random, input, seeds);
        return input;
    }

    private static byte[] Damage(Random random, byte[] input, byte[][] seeds)
    {
        if (input.Length == 0)
            return [Strange[random.Next(Strange.Length)]];
        int at = random.Next(input.Length), length = 1 + random.Next(Math.Min(random.Next(4) == 0 ? 400 : 12, input.Length - at));
        switch (random.Next(12))
        {
            case 0: return Replace(input, at, 1, [(byte)(input[at] ^ (1 << random.Next(8)))]);
            case 1: return Replace(input, at, 1, [Strange[random.Next(Strange.Length)]]);
            case 2: return Replace(input, at, length, []);
            case 3: return Replace(input, at, 0, input.AsSpan(at, length));
            case 4: return input[..at];
            case 5: return Replace(input, at, 0, Enumerable.Repeat(Strange[random.Next(Strange.Length)], 1 + random.Next(300)).ToArray());
            case 6:
                byte[] other = seeds[random.Next(seeds.Length)];
                return Replace(input, at, length, other.AsSpan(random.Next(other.Length)..).Slice(0, Math.Min(length, 1)));
            case 7:
                // A field twice, or lifted out: from one comma to the next.
                int from = NextOf(input, (byte)',', at), to = NextOf(input, (byte)',', Math.Min(from + 1, input.Length - 1));
                return from >= to ? input : Replace(input, from, random.Next(2) == 0 ? to - from : 0, random.Next(2) == 0 ? [] : input.AsSpan(from, to - from));
            default:
                // Another value: after a colon, or a digit's place inside a list.
                int colon = NextOf(input, random.Next(3) == 0 ? (byte)',' : (byte)':', at);
                int end = colon + 1;
                while (end < input.Length && input[end] is not ((byte)',' or (byte)'}' or (byte)']'))
                    end++;
                return colon >= input.Length ? input : Replace(input, colon + 1, end - colon - 1, Values[random.Next(Values.Length)]);
        }
    }

    private static int NextOf(byte[] input, byte sign, int from)
    {
        int index = input.AsSpan(from).IndexOf(sign);
        return index < 0 ? input.Length : from + index;
    }

    private static byte[] Replace(byte[] input, int at, int length, ReadOnlySpan<byte> by)
    {
        at = Math.Min(at, input.Length);
        length = Math.Min(length, input.Length - at);
        return [.. input.AsSpan(0, at), .. by, .. input.AsSpan(at + length)];
    }
}
