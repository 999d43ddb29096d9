/** Lists that many agents say are one list. */
import { expect } from 'chai';
import { Lists } from '../../../control-plane/grpc/lists.js';

describe('lists of names', () => {
  it('are one for all who say the same, and another for those who do not', () => {
    const lists = new Lists();
    const first = lists.shared(['a', 'b']);
    expect(lists.shared(['a', 'b'])).to.equal(first);
    expect(lists.shared(['b', 'a'])).to.deep.equal(['b', 'a']);
    expect(lists.shared([])).to.deep.equal([]);
    expect(lists.shared(['a\nb'])).to.deep.equal(['a\nb']);
    expect(lists.shared(['a', 'b', 'c'])).to.deep.equal(['a', 'b', 'c']);
    expect(lists.shared(['a\nb', 'c'])).to.deep.equal(['a\nb', 'c']);
  });

  it('are forgotten when there are too many of them', () => {
    const lists = new Lists();
    const first = lists.shared(['a']);
    for (let i = 0; i < 256; i++) lists.shared([`b${i}`]);
    const again = ['a'];
    expect(lists.shared(again)).to.equal(again).and.not.to.equal(first);
  });
});
